// Keeps the page as the server sees it: parts arrive as HTML, what differs is exchanged, clocks run here.
"use strict";

const link = document.getElementById("link");
const title = document.title;
let ahead = Number(document.body.dataset.now) - Date.now() / 1000;

function duration(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const whole = Math.max(0, Math.round(seconds));
  const minutes = Math.floor(whole / 60);
  const hours = Math.floor(minutes / 60);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${minutes}m ${two(whole % 60)}s`;
  if (hours < 24) return `${hours}h ${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d ${two(hours % 24)}h`;
}

function runClocks(root) {
  const now = Date.now() / 1000 + ahead;
  for (const clock of root.querySelectorAll("time[data-since]")) {
    const shown = duration(now - Number(clock.dataset.since));
    if (clock.textContent !== shown) clock.textContent = shown;
  }
}

// Changes `old` into `fresh`, keeping the elements that stay: focus, scrolling and open details survive.
function become(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) old.setAttribute(name, value);
  if (!old.firstElementChild || !fresh.firstElementChild || old.tagName === "svg") {
    old.replaceChildren(...fresh.childNodes);
    return;
  }
  const known = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    let found = wanted.id ? known.get(wanted.id) : null;
    if (!found && !wanted.id && place && !place.id && place.nodeName === wanted.nodeName) found = place;
    if (!found) {
      old.insertBefore(wanted, place);
      continue;
    }
    if (found === place) place = place.nextSibling;
    else old.insertBefore(found, place);
    if (found.nodeType === Node.ELEMENT_NODE) become(found, wanted);
    else if (found.nodeValue !== wanted.nodeValue) found.nodeValue = wanted.nodeValue;
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function take(message) {
  const { id, html, now } = JSON.parse(message.data);
  ahead = now - Date.now() / 1000;
  const holder = document.createElement("template");
  holder.innerHTML = html;
  const fresh = holder.content.firstElementChild;
  const old = document.getElementById(id);
  if (!old || !fresh) return;
  runClocks(holder.content);
  become(old, fresh);
  const asked = document.querySelectorAll("#person form").length;
  document.title = asked ? `(${asked}) ${title}` : title;
}

function show(state, text) {
  link.className = state;
  link.textContent = text;
}

function listen() {
  const live = new EventSource(document.body.dataset.live);
  live.addEventListener("part", take);
  live.addEventListener("open", () => show("on", "live"));
  live.addEventListener("error", () => {
    show("off", "no connection");
    if (live.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}

setInterval(() => runClocks(document), 1000);
if (document.body.dataset.live) listen();
