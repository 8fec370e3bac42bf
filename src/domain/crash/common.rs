//! What every program says in the words of its operating system.

use crate::domain::crash::{Class, Crash};
use crate::domain::text::disk_error::DiskError;
use crate::domain::text::log_line::Line;
use crate::domain::text::stack;
use crate::text::pattern::pattern;

/// Reads a line about a volume or a port.
pub(crate) fn read(line: &Line<'_>) -> Option<Crash> {
    let text = line.text();
    let lower = text.to_ascii_lowercase();
    if let Some(found) = pattern!(r"(?i)\bexec ([^\s:]+): exec format error").captures(&text) {
        return Some(Crash::new(Class::Architecture, &found[0]).what(&found[1]));
    }
    let token = "/var/run/secrets/kubernetes.io/serviceaccount/token: no such file";
    if text.contains(token) {
        let reason = "it needs the API server, and its pod mounts no token of its ServiceAccount";
        return Some(Crash::new(Class::NoToken, reason));
    }
    // The token of a role is no file of the program's own: who cannot read it gets no credentials.
    if text.contains("eks.amazonaws.com/serviceaccount/") {
        return None;
    }
    let of = |class| Some(Crash::new(class, why(stack::without(&text))).maybe_file(path(&text)));
    match DiskError::read(&text) {
        Some(DiskError::Full) => return of(Class::DiskFull),
        // Snapshots of a file server are read-only on purpose; only what changes owners goes in there.
        Some(DiskError::ReadOnly) if lower.contains("chown: ") => return of(Class::Chown),
        Some(DiskError::ReadOnly) => return of(Class::ReadOnly),
        _ => {}
    }
    if let Some(crash) = port(&text) {
        return Some(crash);
    }
    if lower.contains("chown: ") && (lower.contains("permission denied") || lower.contains("not permitted")) {
        return of(Class::Chown);
    }
    let refused = pattern!(
        r"\b(?:open|mkdir|write|create|rename|remove|unlink|unlinkat|chmod|lockfile|touch|access) \S+: permission denied"
    );
    if refused.is_match(&lower) {
        // No volume holds the settings of the kernel, and no owner of files opens them.
        let of_kernel = path(&text).is_some_and(|p| ["/proc/", "/sys/"].iter().any(|root| p.starts_with(root)));
        return of(if of_kernel { Class::Kernel } else { Class::Permission });
    }
    None
}

/// `listen tcp 0.0.0.0:9090: bind: address already in use`.
pub(crate) fn port(text: &str) -> Option<Crash> {
    let found = pattern!(r"listen \w+ (\S*?):(\d+): bind: ([^;\n\x22]+)").captures(text)?;
    let (address, port, why) = (&found[1], &found[2], &found[3]);
    if address.trim_matches(['[', ']']) == "fd00:ec2::23" && why.contains("assign requested address") {
        let reason = format!("cannot listen on {address}:{port}: its node has no IPv6");
        return Some(Crash::new(Class::AgentAddress, reason));
    }
    let class = if why.contains("in use") { Class::Port } else { Class::Bind };
    let advice = match why {
        w if w.contains("permission denied") => "Ports below 1024 need a capability: listen on a higher port.",
        // Addresses of the link are given to programs of the node on purpose.
        w if w.contains("assign requested address") && address.starts_with("169.254.") => {
            "No interface of the node has the address: the program, or an init container beside it, has to add it first."
        }
        w if w.contains("assign requested address") => "The address is not one of the pod's: listen on 0.0.0.0.",
        _ => "",
    };
    let reason = format!("cannot listen on {address}:{port}: {why}");
    Some(Crash::new(class, reason).what(port).advice(advice))
}

/// The path that a system call or a shell tool failed on.
pub(crate) fn path(text: &str) -> Option<&str> {
    let found = pattern!(
        r#"(?:open|mkdir|write|create|rename|remove|unlink|unlinkat|chown|chmod|read|stat|lstat|fsync|truncate|touch|directory|access|file)[:]? ['"‘]?(/[^\s:'"’,]+)"#
    );
    found.captures(text).and_then(|c| c.get(1)).map(|m| m.as_str())
}

/// The innermost error of a Go chain that names a path, else the whole.
fn why(text: &str) -> &str {
    match pattern!(r#"(?:open|mkdir|write|create|rename|remove|unlink|unlinkat|chown|fsync|truncate|chmod)[:]? /\S+ .*$|(?:open|mkdir|write|create|rename|remove|unlink|unlinkat|chown|fsync|truncate|chmod)[:]? /[^;]*"#).find(text) {
        Some(found) => found.as_str().trim_end_matches([';', ' ']),
        None => text,
    }
}
