//! Asks the person at the terminal.

use std::io::{self, BufRead, Write};

use super::sanitize;

/// Asks question after question; "all" and "none" answer those that follow too.
#[derive(Debug, Default)]
pub struct Asking {
    always: Option<bool>,
}

impl Asking {
    /// True if the person says yes. No answer is a no.
    pub fn allows(&mut self, what: &str) -> bool {
        // Not locked while it waits: Ctrl-C has its last words there.
        self.ask(what, &mut io::stdin().lock(), &mut io::stderr())
    }

    fn ask(&mut self, what: &str, answers: &mut impl BufRead, questions: &mut impl Write) -> bool {
        if let Some(always) = self.always {
            return always;
        }
        // A question that cannot be shown is not answered either.
        let shown = write!(questions, "probe: {}? [y]es, [N]o, [a]ll, n[o]ne: ", sanitize(what));
        if shown.and_then(|()| questions.flush()).is_err() {
            return false;
        }
        let mut answer = String::new();
        if answers.read_line(&mut answer).unwrap_or(0) == 0 {
            self.always = Some(false);
        }
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => true,
            "a" | "all" => {
                self.always = Some(true);
                true
            }
            "o" | "none" => {
                self.always = Some(false);
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_a_no_and_all_is_remembered() {
        let answer = |text: &str, questions: usize| {
            let mut asking = Asking::default();
            let mut input = text.as_bytes();
            let mut out = Vec::new();
            let allowed: Vec<bool> =
                (0..questions).map(|n| asking.ask(&format!("p{n}"), &mut input, &mut out)).collect();
            allowed
        };
        assert_eq!(answer("\ny\nmaybe\n", 3), [false, true, false]);
        assert_eq!(answer("a\n", 3), [true, true, true]);
        assert_eq!(answer("y\no\n", 3), [true, false, false]);
        assert_eq!(answer("", 2), [false, false]);
    }
}
