//! The programs that a piece of shell calls, with their arguments: what a command is about to do, before it does it.

use super::invocation;
use super::shell;

/// One call of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The program, as it is written.
    pub program: String,
    /// Its arguments without their quotes. What a substitution will give is not known: it stands as it is written.
    pub arguments: Vec<String>,
    /// Where in the text a flag of its own may be added: behind its last word, and before a `--`.
    pub end: usize,
}

/// What the shell itself does.
const SHELL: &[&str] = &[
    ".", ":", "[", "[[", "break", "case", "cd", "command", "continue", "done", "echo", "esac", "eval", "exec", "exit",
    "export", "false", "fi", "for", "function", "if", "in", "local", "printf", "pwd", "read", "return", "set", "shift",
    "source", "test", "trap", "true", "type", "ulimit", "umask", "unset", "wait", "}", "{", "then", "else", "do",
];

impl Call {
    /// The shell itself does it: it is on every machine.
    pub fn is_of_the_shell(&self) -> bool {
        SHELL.contains(&self.program.as_str())
    }
}

/// All calls of a text, those within substitutions too.
pub fn calls(text: &str) -> Vec<Call> {
    shell::commands(text).iter().filter_map(|simple| call(text, simple)).collect()
}

fn call(text: &str, simple: &shell::Simple) -> Option<Call> {
    let words: Vec<&str> = simple.words.iter().map(|w| &text[w.clone()]).collect();
    let at = invocation::program(&words).or_else(|| invocation::first(&words))?;
    let own = words[at..].iter().take_while(|w| **w != "--").count() + at;
    Some(Call {
        program: plain(words[at]),
        arguments: words[at + 1..].iter().map(|w| plain(w)).collect(),
        end: simple.words[own.max(at + 1) - 1].end,
    })
}

/// A word without its quotes.
fn plain(word: &str) -> String {
    match shlex::split(word).as_deref() {
        Some([only]) => only.clone(),
        _ => word.to_owned(),
    }
}

/// True where a command writes into a file, or takes one's place: `> file`, `>> file`, `tee`.
pub fn writes_files(text: &str) -> bool {
    shell::written(text).iter().any(|target| !matches!(plain(target).as_str(), "/dev/null" | "/dev/stderr" | "-"))
        || calls(text).iter().any(|call| call.program == "tee")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        calls(text).iter().map(|c| format!("{} {}", c.program, c.arguments.join("|"))).collect()
    }

    #[test]
    fn a_call_is_a_program_with_plain_arguments() {
        assert_eq!(shown("kubectl delete pvc 'a b' -n \"m\""), ["kubectl delete|pvc|a b|-n|m"]);
        assert_eq!(shown("X=1 sudo kubectl get x"), ["kubectl get|x"]);
        assert_eq!(
            shown("POD=$(kubectl get pods -o name)\nkubectl delete $POD"),
            ["kubectl get|pods|-o|name", "kubectl delete|$POD"]
        );
        assert_eq!(shown("sudo systemctl restart kubelet"), ["sudo systemctl|restart|kubelet"]);
    }

    #[test]
    fn a_flag_goes_behind_the_last_word_and_before_what_is_of_another_program() {
        let with = |text: &str| {
            let end = calls(text).pop().map(|c| c.end).unwrap_or_default();
            format!("{} +{}", &text[..end], &text[end..])
        };
        assert_eq!(with("kubectl apply -f - <<'EOF'\na: 1\nEOF"), "kubectl apply -f - + <<'EOF'\na: 1\nEOF");
        assert_eq!(with("kubectl exec p -- ls"), "kubectl exec p + -- ls");
    }

    #[test]
    fn files_that_are_written_are_seen() {
        for text in ["a > x", "a >>'x y'", "a | tee x", "echo \"$(b > c)\""] {
            assert!(writes_files(text), "{text}");
        }
        for text in ["a", "a 2>/dev/null", "a >/dev/null 2>&1", "a <<EOF\nx > y\nEOF", "a 'b > c'", "a < b"] {
            assert!(!writes_files(text), "{text}");
        }
    }
}
