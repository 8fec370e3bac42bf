//! Programs that measure or hand out GPUs of NVIDIA and do not find the driver's library in their container.

use crate::domain::crash::{Class, Crash};
use crate::domain::text::redact::redact;

/// Words of dcgm-exporter, of the DCGM that it starts, and of the device plugin.
const WORDS: &[&str] = &[
    "Cannot init NVML library; err: ERROR_LIBRARY_NOT_FOUND",
    "Failed to initialize NVML: could not load NVML library",
    "could not load NVML library",
    "libnvidia-ml.so.1: cannot open shared object file",
    "Error: Failed to initialize NVML",
    "DCGM initialization error",
    "ERROR_LIBRARY_NOT_FOUND",
];

/// Lines from the end in which it is said: the device plugin goes on without a GPU where it is told to.
const LAST: usize = 30;

/// Reads a whole log.
pub(crate) fn read(text: &str) -> Option<Crash> {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(LAST)..];
    // The first of the words that is said tells most.
    let line = WORDS.iter().find_map(|word| last.iter().rev().find(|l| l.contains(word)))?;
    let reason = "it does not find the library of NVIDIA's driver (NVML) in its container";
    Some(Crash { said: redact(line), ..Crash::new(Class::Gpu, reason) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exporters_without_the_driver() {
        for text in [
            "time=2026-11-21T02:52:59.547Z level=INFO msg=\"DCGM successfully initialized!\"\ntime=2026-11-21T02:52:59.547Z level=ERROR msg=\"Cannot init NVML library; err: ERROR_LIBRARY_NOT_FOUND\"\ntime=2026-11-21T02:52:59.566Z level=ERROR msg=ERROR_LIBRARY_NOT_FOUND\n",
            "time=\"2026-11-21T02:49:33Z\" level=info msg=\"Starting dcgm-exporter\"\nError: Failed to initialize NVML\ntime=\"2026-11-21T02:49:33Z\" level=fatal msg=\"Error starting nv-hostengine: DCGM initialization error\"\n",
        ] {
            let crash = read(text).expect("a crash");
            assert_eq!(crash.class, Class::Gpu);
            assert!(crash.said.contains("NVML"), "{}", crash.said);
        }
        assert!(read("level=ERROR msg=\"Cannot init NVML library; err: Unknown Error\"\n").is_none(), "it is there");
    }
}
