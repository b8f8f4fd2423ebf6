# Completion of hpm for fish 3 or newer, made by: hpm completion.fish
function __hpm_words
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l offered ($before[1] completion.words --explain --word=$before[2..-1] --word="$current" 2>/dev/null </dev/null)
    switch "$offered[1]"
        case :files
            __fish_complete_path "$current"
        case :directories
            __fish_complete_directories "$current" ''
        case '*'
            printf '%s\n' $offered
    end
end
complete -c hpm -f -a '(__hpm_words)'
