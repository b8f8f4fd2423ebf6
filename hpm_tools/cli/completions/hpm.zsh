#compdef hpm
# Completion of hpm for zsh, made by: hpm completion.zsh
_hpm() {
    local line
    local -a described
    for line in "${(@f)$(${(Q)words[1]/#\~\//$HOME/} completion.words --explain \
        "--word=${(@Q)^words[2,CURRENT]}" 2>/dev/null </dev/null)}"; do
        case $line in
            :files) _files; return ;;
            :directories) _files -/; return ;;
            ?*) described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done
    _describe -t words hpm described
}
# Autoloaded from a directory of fpath this file is the function's body; sourced, it has to be told of it.
if [[ ${funcstack[1]-} == _hpm ]]; then
    _hpm "$@"
else
    compdef _hpm hpm
fi
