# kdoctor completions for bash: source <(kdoctor completions bash)
_kdoctor() {
    local line="${COMP_LINE:0:COMP_POINT}" directive="" answer
    local -a words
    read -ra words <<<"$line"
    [[ "$line" == *[[:space:]] ]] && words+=("")
    COMPREPLY=()
    while IFS= read -r answer; do
        case "$answer" in
        :*) directive="${answer#:}" ;;
        *) COMPREPLY+=("${answer%%$'\t'*}") ;;
        esac
    done < <("${words[0]}" __complete -- "${words[@]:1}" 2>/dev/null)
    # bash takes words apart at = and :, which names of contexts hold; it adds only what follows the last of them.
    local typed="${words[${#words[@]} - 1]}"
    local before="${typed%"${typed##*[:=]}"}"
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
    [[ "$directive" == 0 ]] && compopt -o default 2>/dev/null
    return 0
}
complete -F _kdoctor kdoctor
