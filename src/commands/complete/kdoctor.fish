# kdoctor completions for fish: kdoctor completions fish > ~/.config/fish/completions/kdoctor.fish
function __kdoctor_complete
    set -l typed (commandline -ct)
    set -l words (commandline -opc)
    for answer in ($words[1] __complete -- $words[2..-1] "$typed" 2>/dev/null)
        if test "$answer" = ":0"
            __fish_complete_path "$typed"
        else if not string match -q ':*' -- "$answer"
            echo "$answer"
        end
    end
end
complete -c kdoctor -f -a '(__kdoctor_complete)'
