//! The whole terminal for a live view: the alternate screen, keys, and the way back however the program ends.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use termimad::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use termimad::crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
    disable_raw_mode, enable_raw_mode,
};
use termimad::crossterm::{cursor, execute, queue};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How often the thread that reads keys looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(100);

/// The terminal is ours: it has to be given back.
static OURS: AtomicBool = AtomicBool::new(false);
/// What a panic said while the terminal was ours.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// What the person at the terminal did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `q` or Esc.
    Quit,
    /// Ctrl-C.
    Interrupt,
    /// `r` or space.
    Again,
    /// The window has another size.
    Resized,
}

/// The terminal, while a live view has it. Dropped, it is as before.
pub struct Screen {
    keys: UnboundedReceiver<Key>,
    ended: Arc<AtomicBool>,
}

impl Screen {
    /// A live view can be shown and left again: keys are read, and the output is a terminal that can be written all over.
    pub fn is_possible() -> bool {
        let dumb = std::env::var_os("TERM").is_none_or(|t| t == "dumb");
        !dumb && io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Takes the terminal.
    ///
    /// # Errors
    /// It cannot be set up; then it is as before.
    pub fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        OURS.store(true, Ordering::SeqCst);
        if let Err(error) = execute!(io::stdout(), EnterAlternateScreen, cursor::Hide) {
            restore();
            return Err(error);
        }
        keep_panics();
        let (sender, keys) = unbounded_channel();
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        // Reading blocks: it has a thread of its own, which ends with the view.
        std::thread::Builder::new()
            .name("keys".into())
            .spawn(move || read_keys(&sender, &until))
            .inspect_err(|_| restore())?;
        Ok(Self { keys, ended })
    }

    /// Columns and rows.
    pub fn size() -> (usize, usize) {
        terminal_size::terminal_size().map_or((80, 24), |(w, h)| (usize::from(w.0), usize::from(h.0)))
    }

    /// The next key; `None` where the terminal is gone.
    pub async fn key(&mut self) -> Option<Key> {
        self.keys.recv().await
    }

    /// Shows these lines and nothing else. They must not be wider than the terminal.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let (_, height) = Self::size();
        let mut out = Vec::new();
        queue!(out, BeginSynchronizedUpdate)?;
        for (row, line) in lines.iter().take(height).enumerate() {
            queue!(out, cursor::MoveTo(0, u16::try_from(row).unwrap_or(u16::MAX)))?;
            // Overwritten, and then cleared to its end: nothing flickers.
            write!(out, "{line}")?;
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
        if lines.len() < height {
            queue!(
                out,
                cursor::MoveTo(0, u16::try_from(lines.len()).unwrap_or(u16::MAX)),
                Clear(ClearType::FromCursorDown)
            )?;
        }
        queue!(out, EndSynchronizedUpdate)?;
        let mut stdout = io::stdout().lock();
        stdout.write_all(&out)?;
        stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        restore();
        // Nothing is said where it would be overwritten: now it can be read.
        let said = std::mem::take(&mut *PANIC.lock().unwrap_or_else(PoisonError::into_inner));
        if std::thread::panicking() && !said.is_empty() {
            let _ = writeln!(io::stderr(), "{said}");
        }
    }
}

/// Gives the terminal back, if it was taken. May be called from anywhere, any number of times.
pub fn restore() {
    if OURS.swap(false, Ordering::SeqCst) {
        // A terminal that is gone needs nothing any more.
        let _ = execute!(io::stdout(), cursor::Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

/// While the terminal is ours, what a panic says is kept: that of a check is caught, and would only spoil the picture.
fn keep_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if OURS.load(Ordering::SeqCst) {
                *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = info.to_string();
            } else {
                before(info);
            }
        }));
    });
}

fn read_keys(keys: &UnboundedSender<Key>, ended: &AtomicBool) {
    while !ended.load(Ordering::SeqCst) {
        match event::poll(POLL) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(_) => return,
        }
        let key = match event::read() {
            Ok(Event::Resize(..)) => Some(Key::Resized),
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => meaning(key),
            Ok(_) => None,
            Err(_) => return,
        };
        if let Some(key) = key
            && keys.send(key).is_err()
        {
            return;
        }
    }
}

fn meaning(key: KeyEvent) -> Option<Key> {
    match key.code {
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => Some(Key::Interrupt),
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Key::Quit),
        KeyCode::Char('r' | 'R' | ' ') => Some(Key::Again),
        _ => None,
    }
}
