//! A program and those that it started.

use std::process::{Child, Command, Stdio};

/// Ends a program and what it started. It shares this program's terminal, so it has no group of its own to be ended by.
pub(super) fn end(child: &mut Child) -> std::io::Result<()> {
    let below = below(child.id());
    child.kill()?;
    if !below.is_empty() {
        let kill = Command::new("kill").arg("-KILL").args(below).stdout(Stdio::null()).stderr(Stdio::null()).status();
        // Some of them may have ended meanwhile; without the tool there is no more that could be done.
        drop(kill);
    }
    Ok(())
}

/// The programs that a program started, and those that these started; none where `ps` cannot tell.
fn below(program: u32) -> Vec<String> {
    let listed =
        Command::new("ps").args(["-A", "-o", "pid=,ppid="]).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let all: Vec<(&str, &str)> = text.lines().filter_map(|l| l.trim().split_once(char::is_whitespace)).collect();
    let mut found: Vec<String> = Vec::new();
    let mut from = vec![program.to_string()];
    while let Some(parent) = from.pop() {
        for (own, _) in all.iter().filter(|(_, above)| above.trim() == parent) {
            if !found.iter().any(|known| known == own) {
                found.push((*own).to_owned());
                from.push((*own).to_owned());
            }
        }
    }
    found
}
