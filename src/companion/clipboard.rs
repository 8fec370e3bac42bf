//! Copies a command: by the terminal itself (OSC 52, which also works over SSH), and by the desktop's tool where there is one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{process, tools};

/// Letters that terminals take at least.
const LIMIT: usize = 74_994;
/// Letters of one piece within GNU screen.
const PIECE: usize = 240;

/// Which program stands between here and the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    /// None.
    Nothing,
    /// tmux.
    Tmux,
    /// GNU screen.
    Screen,
}

impl Between {
    /// As their own variables say.
    pub(super) fn detect() -> Self {
        match () {
            () if is_set("TMUX") => Self::Tmux,
            () if is_set("STY") => Self::Screen,
            () => Self::Nothing,
        }
    }
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|v| !v.is_empty())
}

/// What makes the terminal copy this text; `None` where it is too long for that.
pub(super) fn sequence(text: &str, between: Between) -> Option<String> {
    let encoded = STANDARD.encode(text);
    if encoded.len() > LIMIT {
        return None;
    }
    let plain = format!("\u{1b}]52;c;{encoded}\u{7}");
    Some(match between {
        Between::Nothing => plain,
        // tmux may take it for its own buffer, or hand it on: as it is configured.
        Between::Tmux => format!("{plain}\u{1b}Ptmux;\u{1b}{plain}\u{1b}\\"),
        Between::Screen => {
            let letters: Vec<char> = plain.chars().collect();
            letters.chunks(PIECE).map(|piece| format!("\u{1b}P{}\u{1b}\\", piece.iter().collect::<String>())).collect()
        }
    })
}

/// Hands the text to the desktop's clipboard; gives the tool that took it.
pub(super) fn desktop(text: &str) -> Option<&'static str> {
    // Over SSH the desktop is another machine's.
    if is_set("SSH_CONNECTION") {
        return None;
    }
    let desktops: [(&str, &[&str], bool); 3] = [
        ("pbcopy", &[], cfg!(target_os = "macos")),
        ("wl-copy", &[], is_set("WAYLAND_DISPLAY")),
        ("xclip", &["-selection", "clipboard"], is_set("DISPLAY")),
    ];
    let (tool, arguments, _) = desktops.into_iter().find(|(name, _, fits)| *fits && tools::find(name).is_some())?;
    process::feed(tool, arguments, text).ok().map(|()| tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_gets_the_text_whatever_stands_between() {
        let encoded = STANDARD.encode("kubectl get x");
        let plain = format!("\u{1b}]52;c;{encoded}\u{7}");
        assert_eq!(sequence("kubectl get x", Between::Nothing).as_deref(), Some(plain.as_str()));
        let tmux = sequence("kubectl get x", Between::Tmux).expect("short");
        assert_eq!(tmux, format!("{plain}\u{1b}Ptmux;\u{1b}{plain}\u{1b}\\"));
        let long = "x".repeat(1000);
        let screen = sequence(&long, Between::Screen).expect("short enough");
        let joined = screen.replace("\u{1b}\\", "").replace("\u{1b}P", "");
        assert_eq!(joined, format!("\u{1b}]52;c;{}\u{7}", STANDARD.encode(&long)));
        assert_eq!(sequence(&"x".repeat(80_000), Between::Nothing), None);
    }
}
