//! A child process that runs beside the test, and whose lines are waited for.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// A running process; ends when dropped.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    /// Every line so far, of both streams.
    pub seen: Vec<String>,
}

impl Running {
    /// Starts it, without input.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let (sender, lines) = channel();
        read(child.stdout.take().expect("it is piped"), sender.clone());
        read(child.stderr.take().expect("it is piped"), sender);
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that holds `text`; panics with what was seen if none comes in time.
    pub fn expect(&mut self, text: &str, within: Duration) -> String {
        let end = Instant::now() + within;
        while let Ok(line) = self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
        panic!("no line with {text:?} within {within:?}:\n{}", self.seen.join("\n"));
    }

    /// Sends a signal by its name, as kill does.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|s| s.success()), "kill -s {name}");
    }

    /// Waits for its end.
    pub fn end(&mut self, within: Duration) -> ExitStatus {
        let end = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                self.seen.extend(self.lines.try_iter());
                return status;
            }
            assert!(Instant::now() < end, "it did not end within {within:?}:\n{}", self.seen.join("\n"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(stream: impl Read + Send + 'static, lines: Sender<String>) {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}
