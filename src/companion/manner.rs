//! How a command behaves while it runs, read from its words: whether it ends by itself, and whether it takes the terminal.

use super::kubectl::Kubectl;
use crate::pages::{self, Call};

/// What it takes the terminal for, or why it does not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// It prints and ends.
    Plain,
    /// It takes the terminal: an editor, a shell.
    Terminal,
    /// It runs until it is stopped: it needs a terminal of its own.
    Endless,
}

/// How a command behaves while it runs.
pub(super) fn of(command: &str) -> Manner {
    let all = pages::calls(command);
    let kubectl: Vec<Kubectl> = all.iter().filter_map(Kubectl::of).collect();
    let follows = |k: &Kubectl| match k.verb.as_str() {
        "port-forward" | "proxy" => true,
        "logs" => k.has(&["-f", "--follow"]),
        "get" => k.has(&["-w", "--watch"]),
        _ => false,
    };
    let in_background = command.lines().any(|l| l.trim_end().ends_with('&') && !l.trim_end().ends_with("&&"));
    if kubectl.iter().any(follows) && !in_background {
        return Manner::Endless;
    }
    let session = |c: &Call| c.program == "aws" && c.arguments.iter().any(|a| a == "start-session");
    let takes = kubectl.iter().any(Kubectl::takes_terminal) || all.iter().any(session);
    if takes { Manner::Terminal } else { Manner::Plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_and_what_never_ends_are_known() {
        assert_eq!(of("kubectl --context c edit cm x -n m"), Manner::Terminal);
        assert_eq!(of("kubectl exec -it p -- sh"), Manner::Terminal);
        assert_eq!(of("kubectl debug node/a -it --image=b"), Manner::Terminal);
        assert_eq!(of("kubectl port-forward -n m svc/x 9090"), Manner::Endless);
        assert_eq!(of("kubectl logs p --tail=20"), Manner::Plain);
        assert_eq!(of("kubectl run x --rm -i --image=a -- curl b"), Manner::Plain);
    }
}
