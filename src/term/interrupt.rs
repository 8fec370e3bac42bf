//! Ctrl-C ends the program whatever it is doing: collecting, asking, writing to a reader that does not read.

use std::sync::mpsc;

use futures::FutureExt;

/// Interrupted by the user, as shells count it.
const INTERRUPTED: i32 = 130;

/// Watches for Ctrl-C from now on, on a thread of its own: what blocks the others does not keep it from ending them.
pub fn watch() {
    let (ready, is_ready) = mpsc::channel();
    let watching = std::thread::Builder::new().name("interrupt".into()).spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let interrupt = tokio::signal::ctrl_c();
            tokio::pin!(interrupt);
            // The first look sets the handler up.
            let at_once = interrupt.as_mut().now_or_never();
            let _ = ready.send(());
            let pressed = match at_once {
                Some(pressed) => pressed,
                None => interrupt.await,
            };
            if pressed.is_ok() {
                leave();
            }
        });
    });
    if watching.is_ok() {
        // Without a handler the thread ends, and so does the waiting.
        let _ = is_ready.recv();
    }
}

#[expect(clippy::exit, reason = "another thread may wait for ever: nothing else ends it")]
fn leave() {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "kdoctor: interrupted");
    std::process::exit(INTERRUPTED)
}
