#compdef kdoctor
# kdoctor completions for zsh: kdoctor completions zsh > "${fpath[1]}/_kdoctor"
_kdoctor() {
    local -a answers described
    local answer directive
    answers=("${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    for answer in "${answers[@]}"; do
        case "$answer" in
        :*) directive="${answer#:}" ;;
        # A colon parts the value from its description.
        *$'\t'*) described+=("${${answer%%$'\t'*}//:/\\:}:${answer#*$'\t'}") ;;
        ?*) described+=("${answer//:/\\:}") ;;
        esac
    done
    (( ${#described} )) && _describe kdoctor described
    [[ "$directive" == 0 ]] && _files
    return 0
}
if [ "$funcstack[1]" = "_kdoctor" ]; then
    _kdoctor "$@"
else
    compdef _kdoctor kdoctor
fi
