//! The Kubernetes lists that are kept from one look to the next. Before a look the server is asked what changed of each
//! since it was read; a list of which it cannot say so is read again.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio::time::timeout;

use super::list::{List, Name};
use crate::collect::source::{FetchError, Request, Source};
use crate::model::{GapCause, Observer};

/// How long a server is listened to, in seconds. What changed before it was asked comes at once, and the end of the time
/// shows that all of it came.
const LISTENING: u64 = 1;
/// Lists that are asked for at once. One of them holds the server up less than a list does, and less long.
const AT_ONCE: usize = 64;
/// Bytes of one list at most: a larger one is read again each time.
const MAX_LIST: usize = 64 << 20;
/// Bytes of all of them at most.
const MAX_ALL: usize = 256 << 20;
/// A list is read again at the latest after this time, whatever its changes were said to be.
const RENEWED: Duration = Duration::from_secs(600);
/// Who may not hear of the changes of a list tries it again after this time.
const REFUSED: Duration = Duration::from_secs(600);
/// Looks that may pass without a list; then it is forgotten.
const IDLE: u8 = 3;

/// Lists that outlive a look.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The cluster whose lists these are.
    cluster: Option<String>,
    kept: HashMap<Name, Kept>,
    /// Lists whose changes are not told, and since when that is known.
    refused: HashMap<Name, Instant>,
}

#[derive(Debug)]
struct Kept {
    list: List,
    read_at: Instant,
    /// Looks since it was last asked for.
    idle: u8,
}

/// What came of the attempt to bring a list up to date.
enum Caught {
    /// These events.
    Up(Vec<u8>),
    /// Its changes are not told to this user, or not by this server.
    Refused,
    /// The server does not answer: nothing is known of the others either.
    NoAnswer,
    /// The version is too old, or the answer is not what it should be.
    Lost,
}

impl Lists {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings all lists up to date; gives those that are. The others have to be read.
    pub(super) async fn catch_up(&self, source: &dyn Source, observer: &dyn Observer) -> HashSet<Name> {
        let mut fresh = HashSet::new();
        let listening = Duration::from_secs(LISTENING);
        let old = self.inner().begin(source);
        // Who has no more time than that for a call has none for listening.
        if source.deadline() <= listening {
            return fresh;
        }
        let deadline = listening + source.deadline() / 4;
        let asked = old.into_iter().map(|(name, version)| async move {
            let caught = ask(source, observer, &name.changes(&version, LISTENING), deadline).await;
            (name, caught)
        });
        let mut asked = futures::stream::iter(asked).buffer_unordered(AT_ONCE);
        while let Some((name, caught)) = asked.next().await {
            match caught {
                Caught::NoAnswer => break,
                caught => fresh.extend(self.inner().take(name, &caught)),
            }
        }
        fresh
    }

    /// A list that is up to date, as the server would send it.
    pub(super) fn document(&self, name: &Name) -> Option<Vec<u8>> {
        let mut inner = self.inner();
        let kept = inner.kept.get_mut(name)?;
        kept.idle = 0;
        Some(kept.list.document())
    }

    /// Keeps a list that was read.
    pub(super) fn keep(&self, name: Name, list: List) {
        let mut inner = self.inner();
        inner.kept.remove(&name);
        let all: usize = inner.kept.values().map(|kept| kept.list.bytes()).sum();
        let fits = list.bytes() <= MAX_LIST && all + list.bytes() <= MAX_ALL;
        if fits && !inner.refused.contains_key(&name) {
            inner.kept.insert(name, Kept { list, read_at: Instant::now(), idle: 0 });
        }
    }
}

impl Inner {
    /// Forgets what is too old, or of another cluster; gives the rest with the versions.
    fn begin(&mut self, source: &dyn Source) -> Vec<(Name, String)> {
        let known = source.known();
        let cluster = Some(format!("{:?} {:?}", known.endpoint, known.context));
        if self.cluster != cluster {
            *self = Self { cluster, ..Self::default() };
        }
        self.refused.retain(|_, since| since.elapsed() < REFUSED);
        self.kept.retain(|_, kept| kept.idle < IDLE && kept.read_at.elapsed() < RENEWED);
        self.kept.values_mut().for_each(|kept| kept.idle += 1);
        self.kept.iter().map(|(name, kept)| (name.clone(), kept.list.version().to_owned())).collect()
    }

    /// Takes in what was heard of a list; gives its name where it is up to date.
    fn take(&mut self, name: Name, caught: &Caught) -> Option<Name> {
        let is_up = match caught {
            Caught::Up(events) => self.kept.get_mut(&name).is_some_and(|kept| kept.list.follow(events)),
            _ => false,
        };
        if is_up {
            return Some(name);
        }
        self.kept.remove(&name);
        if matches!(caught, Caught::Refused) {
            self.refused.insert(name, Instant::now());
        }
        None
    }
}

async fn ask(source: &dyn Source, observer: &dyn Observer, request: &Request, deadline: Duration) -> Caught {
    let label = request.label();
    observer.started(&label);
    let answer = timeout(deadline, source.fetch(request)).await;
    // Why it is not told is no failure of the look: the list is read then.
    observer.finished(&label, None);
    match answer {
        Ok(Ok(events)) => Caught::Up(events),
        Ok(Err(FetchError::NotFound(_))) => Caught::Refused,
        Ok(Err(FetchError::Gap(gap))) => match gap.cause {
            GapCause::Forbidden { .. } => Caught::Refused,
            GapCause::Unreachable | GapCause::Timeout | GapCause::Unauthorized | GapCause::Throttled => {
                Caught::NoAnswer
            }
            _ => Caught::Lost,
        },
        Ok(Err(FetchError::Expired(_))) => Caught::Lost,
        Err(_) => Caught::NoAnswer,
    }
}
