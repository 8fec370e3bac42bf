//! Ctrl-C ends the program whatever it is doing: collecting, asking, writing to a reader that does not read. What must be
//! said before, or waited for, is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};

use futures::FutureExt;

/// Interrupted by the user, as shells count it.
pub const INTERRUPTED: u8 = 130;

/// What is said before the program ends.
type Farewell = Arc<dyn Fn() + Send + Sync>;

#[derive(Default)]
struct State {
    /// Somebody waits for a program that gets the same Ctrl-C, and ends by itself.
    held: bool,
    pressed: bool,
    farewell: Option<Farewell>,
}

static STATE: Mutex<State> = Mutex::new(State { held: false, pressed: false, farewell: None });

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has something said before Ctrl-C ends the program.
pub fn on_leave(farewell: impl Fn() + Send + Sync + 'static) {
    state().farewell = Some(Arc::new(farewell));
}

/// While it lives, the first Ctrl-C is only noted: another program gets it, too, and its end is waited for.
#[derive(Debug)]
pub struct Held(());

impl Held {
    /// Holds from now on.
    pub fn new() -> Self {
        let mut state = state();
        state.held = true;
        state.pressed = false;
        Self(())
    }

    /// True once Ctrl-C was pressed.
    pub fn is_pressed(&self) -> bool {
        state().pressed
    }
}

impl Default for Held {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        state().held = false;
    }
}

/// Watches for Ctrl-C from now on, on a thread of its own: what blocks the others does not keep it from ending them.
pub fn watch() {
    let (ready, is_ready) = mpsc::channel();
    let watching = std::thread::Builder::new().name("interrupt".into()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            loop {
                let interrupt = tokio::signal::ctrl_c();
                tokio::pin!(interrupt);
                // The first look sets the handler up.
                let at_once = interrupt.as_mut().now_or_never();
                let _ = ready.send(());
                let pressed = match at_once {
                    Some(pressed) => pressed,
                    None => interrupt.await,
                };
                match pressed {
                    Ok(()) => press(),
                    Err(_) => return,
                }
            }
        });
    });
    if watching.is_ok() {
        // Without a handler the thread ends, and so does the waiting.
        let _ = is_ready.recv();
    }
}

fn press() {
    let farewell = {
        let mut state = state();
        if state.held && !state.pressed {
            state.pressed = true;
            return;
        }
        state.farewell.take()
    };
    super::screen::restore();
    // A prompt may have the terminal in its hands.
    let _ = termimad::crossterm::terminal::disable_raw_mode();
    match farewell {
        Some(farewell) => farewell(),
        None => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "kdoctor: interrupted");
        }
    }
    leave();
}

/// Hears that somebody else ends the program (SIGTERM), or that its terminal is closed (SIGHUP), from when it is made: what
/// took the terminal, or runs something, has to clean up first. What comes while nobody waits is not lost.
pub struct Termination {
    #[cfg(unix)]
    signals: Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>,
}

impl Termination {
    /// Listens from now on.
    #[must_use]
    pub fn listen() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Self { signals: signal(SignalKind::terminate()).ok().zip(signal(SignalKind::hangup()).ok()) }
        }
        #[cfg(not(unix))]
        Self {}
    }

    /// Waits for it; for ever where there are no such signals.
    pub async fn heard(&mut self) {
        #[cfg(unix)]
        if let Some((term, hangup)) = &mut self.signals {
            tokio::select! {
                _ = term.recv() => {}
                _ = hangup.recv() => {}
            }
            return;
        }
        std::future::pending().await
    }
}

#[expect(clippy::exit, reason = "another thread may wait for ever: nothing else ends it")]
fn leave() {
    std::process::exit(i32::from(INTERRUPTED))
}
