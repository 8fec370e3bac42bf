//! A host table for one child process, so that a real server under test can use the names of a cluster.
//!
//! The process runs in a mount namespace in which `/etc/resolv.conf`, `/etc/hosts` and `/etc/nsswitch.conf` are the
//! test's. Names are answered by a DNS server of the test on `127.x.y.z:53`, so errors read as in a cluster
//! (`lookup flash-pay.flash-ticket.svc.cluster.local on 127.8.4.2:53: no such host`). Where port 53 is not allowed
//! (a user without CAP_NET_BIND_SERVICE), the table becomes a hosts file and errors lack the `on …:53`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// What becomes of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// It resolves.
    Address(Ipv4Addr),
    /// `no such host`. Names that are not in the table get this too.
    Absent,
    /// `server misbehaving`: CoreDNS is up and fails.
    ServFail,
    /// `i/o timeout`: no CoreDNS answers.
    Silent,
}

/// Names and what becomes of them; `*` is every other name.
pub type Table = HashMap<String, Name>;

/// A table of names that resolve.
pub fn table<const N: usize>(names: [(&str, Ipv4Addr); N]) -> Table {
    names.into_iter().map(|(name, address)| (name.to_owned(), Name::Address(address))).collect()
}

/// A loopback address that no other test of this machine is likely to use, with `port` free on it.
pub fn loopback(port: u16) -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..64 {
        let at = std::process::id().wrapping_mul(251).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let [_, a, b, c] = at.to_be_bytes();
        // Neither 127.0.0.x, which others use, nor the ends of a block.
        let address = Ipv4Addr::new(127, a | 1, b, c.clamp(1, 254));
        if port == 0 || TcpListener::bind((address, port)).is_ok() {
            return address;
        }
    }
    panic!("port {port} is taken (or not allowed) on every loopback address that was tried");
}

/// Names for one child process; its DNS server ends when this is dropped.
pub struct Names {
    files: PathBuf,
    dns: Option<Dns>,
}

impl Names {
    /// Writes the files into `dir` and starts the DNS server.
    pub fn start(dir: &Path, table: &Table) -> Self {
        let files = dir.join("names");
        std::fs::create_dir_all(&files).unwrap_or_else(|e| panic!("{}: {e}", files.display()));
        let write = |name: &str, text: String| {
            std::fs::write(files.join(name), text).unwrap_or_else(|e| panic!("{}/{name}: {e}", files.display()));
        };
        let dns = Dns::start(table);
        let server = dns.as_ref().map_or(Ipv4Addr::LOCALHOST, |d| d.address);
        let mut hosts = "127.0.0.1 localhost\n".to_owned();
        if dns.is_none() {
            for (name, what) in table {
                match what {
                    Name::Address(address) => hosts.push_str(&format!("{address} {name}\n")),
                    Name::Absent => {}
                    other => panic!(
                        "{name}: {other:?} needs port 53: run the tests as root, or allow it \
                                       (sysctl -w net.ipv4.ip_unprivileged_port_start=53)"
                    ),
                }
            }
        }
        write("hosts", hosts);
        write("nsswitch.conf", format!("hosts: files{}\n", if dns.is_some() { " dns" } else { "" }));
        // No search list: a name is asked for as it is written.
        write("resolv.conf", format!("nameserver {server}\noptions ndots:1 timeout:1 attempts:1\n"));
        Self { files, dns }
    }

    /// Address of the DNS server, if there is one.
    pub fn server(&self) -> Option<Ipv4Addr> {
        self.dns.as_ref().map(|d| d.address)
    }

    /// The command that runs `program` with these names; it becomes the program, so killing it kills that.
    pub fn wrap(&self, program: &str) -> Command {
        let script = "cd \"$1\" && for f in resolv.conf hosts nsswitch.conf; do \
                      [ ! -e /etc/$f ] || mount --bind \"$1/$f\" /etc/$f || exit 97; done; \
                      cd / && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(unshare_flags()).args(["--propagation", "private", "--", "sh", "-c", script, "sh"]);
        // Go's own resolver names the DNS server in its errors, and ignores nsswitch.conf; libc does neither.
        match self.dns {
            Some(_) => command.env("GODEBUG", "netdns=go"),
            None => command.env_remove("GODEBUG"),
        };
        command.arg(&self.files).arg(program);
        command
    }
}

/// The flags with which this user may make a mount namespace.
fn unshare_flags() -> Vec<OsString> {
    let can = |flags: &[&str]| {
        let mount = ["--", "mount", "--bind", "/etc/hosts", "/etc/hosts"];
        Command::new("unshare").args(flags).args(mount).output().is_ok_and(|o| o.status.success())
    };
    let ways: [&[&str]; 2] = [&["--mount"], &["--map-root-user", "--mount"]];
    let way = ways.into_iter().find(|flags| can(flags)).expect(
        "cluster names need a mount namespace: run the tests as root with CAP_SYS_ADMIN (docker run --cap-add SYS_ADMIN \
         --security-opt apparmor=unconfined), or allow user namespaces \
         (sysctl -w kernel.apparmor_restrict_unprivileged_userns=0)",
    );
    way.iter().map(OsString::from).collect()
}

/// A DNS server on port 53 of a loopback address.
struct Dns {
    address: Ipv4Addr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Dns {
    /// Nothing if this user may not use port 53.
    fn start(table: &Table) -> Option<Self> {
        let (address, socket) = (0..64).find_map(|_| {
            let address = loopback(0);
            match UdpSocket::bind((address, 53)) {
                Ok(socket) => Some(Some((address, socket))),
                Err(e) if e.kind() == ErrorKind::PermissionDenied => Some(None),
                Err(_) => None,
            }
        })??;
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket takes a read timeout");
        let stop = Arc::<AtomicBool>::default();
        let (table, stopped) = (table.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut packet = [0; 1500];
            while !stopped.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut packet) else { continue };
                if let Some(answer) = answer(&packet[..length], &table) {
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        Some(Self { address, stop, thread: Some(thread) })
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answer to a query with one question; nothing if there shall be none (RFC 1035, section 4).
fn answer(query: &[u8], table: &Table) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    const NXDOMAIN: u8 = 3;
    const SERVFAIL: u8 = 2;
    const A: u8 = 1;
    let mut at = HEADER;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_lowercase());
        at += length;
    }
    let question = query.get(HEADER..at + 4)?;
    let wants_address = query.get(at..at + 2)? == [0, A];
    let found = table.get(&labels.join(".")).or_else(|| table.get("*")).copied().unwrap_or(Name::Absent);
    let (code, address) = match found {
        Name::Silent => return None,
        Name::ServFail => (SERVFAIL, None),
        Name::Absent => (NXDOMAIN, None),
        // Other record types of a known name: no error and no record.
        Name::Address(address) => (0, Some(address).filter(|_| wants_address)),
    };
    let count = u8::from(address.is_some());
    // The query's id; response, authoritative, recursion desired and available; one question.
    let mut out = vec![query[0], query[1], 0x85, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0];
    out.extend(question);
    if let Some(address) = address {
        // The name of the question, type A, class IN, 1 s, four bytes.
        out.extend([0xc0, 12, 0, A, 0, 1, 0, 0, 0, 1, 0, 4]);
        out.extend(address.octets());
    }
    Some(out)
}
