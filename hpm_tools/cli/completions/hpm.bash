# Completion of hpm for bash 4 or newer, made by: hpm completion.bash
_hpm() {
    local word line
    local -a words=()
    COMPREPLY=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
        words+=("--word=$word")
    done
    while IFS= read -r line; do
        case $line in
            :files) compopt -o default ;;
            :directories) compopt -o dirnames ;;
            *) COMPREPLY+=("$line") ;;
        esac
    done < <("${COMP_WORDS[0]/#\~\//$HOME/}" completion.words "${words[@]}" 2>/dev/null </dev/null)
}
complete -F _hpm hpm
