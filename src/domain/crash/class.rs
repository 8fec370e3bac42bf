//! What a program died of, as its readers tell it.

use crate::domain::kubernetes::forbidden::{Account, Act};
use crate::domain::text::api_error::Thing;
use crate::domain::text::object_store::StoreFailure;
use crate::domain::text::redact::redact;
use crate::domain::text::tls_error::TlsCause;

/// What made a program end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// The configuration file is refused.
    Config,
    /// A rule file is refused.
    Rules,
    /// A notification template is refused.
    Template,
    /// The configuration file is not there.
    ConfigMissing,
    /// A directory lies where the configuration file should be.
    ConfigDirectory,
    /// A configuration or rule file may not be read.
    Unreadable,
    /// The web configuration file is missing or wrong.
    WebConfig,
    /// Configuration or flags that agent mode does not take.
    Agent,
    /// No AWS credentials for SigV4.
    Credentials,
    /// The data directory may not be written.
    Permission,
    /// The init container that changes the owner of the data fails.
    Chown,
    /// The volume is read-only.
    ReadOnly,
    /// Another process holds the data directory.
    Lock,
    /// No space is left.
    DiskFull,
    /// The write-ahead log is damaged.
    Wal,
    /// Loki's log of its own index is damaged.
    IndexLog,
    /// A block is damaged.
    Block,
    /// A newer version wrote the data.
    NewerData,
    /// A file of the head's chunks is damaged.
    HeadChunks,
    /// Alertmanager's notification log or silences are damaged.
    State,
    /// A command-line argument is wrong.
    Flag,
    /// The port is taken.
    Port,
    /// The address or port may not be used.
    Bind,
    /// The agent of Pod Identity is to listen on an address of IPv6, and its node has none.
    AgentAddress,
    /// The configuration names a variable of the environment that is not set.
    Variable,
    /// Alertmanager finds no address for its cluster.
    Cluster,
    /// Two datasources are marked as default.
    SecondDefault,
    /// A provisioning file is refused.
    Provisioning,
    /// A plugin cannot be installed.
    Plugin,
    /// A variable is given as a value and as a file.
    TwoSources,
    /// grafana.ini or an environment variable is refused.
    Ini,
    /// The migration of the database fails.
    Migration,
    /// The SQLite database is locked.
    DatabaseLocked,
    /// The SQLite database is damaged.
    DatabaseDamaged,
    /// The database cannot be reached.
    Database,
    /// A CustomResourceDefinition is missing or too old.
    CrdMissing,
    /// The ServiceAccount lacks a right.
    Forbidden,
    /// The certificate of the webhook is missing or wrong.
    Webhook,
    /// The API server cannot be reached.
    ApiServer,
    /// The node lets no more files be watched (inotify).
    Inotify,
    /// The node lets a process map too few areas of memory (Elasticsearch, OpenSearch).
    MapCount,
    /// A setting of the node's kernel may not be written or read.
    Kernel,
    /// The kernel of the node is older than it asks for.
    NodeKernel,
    /// It is built for smaller pages of memory than the node's kernel has.
    PageSize,
    /// The packet filter of the node does not take the rules of a mesh, or nobody has written them.
    PacketFilter,
    /// Thanos asks for external labels that tell this Prometheus from others.
    ExternalLabels,
    /// The metadata of the instance cannot be read.
    Metadata,
    /// It has no token of its ServiceAccount.
    NoToken,
    /// It cannot start another thread or process.
    Processes,
    /// The kernel maps no more memory for it.
    MemoryMap,
    /// The disk gives errors.
    Device,
    /// A ring of Loki, Mimir or Tempo finds no address to give to the others.
    Memberlist,
    /// Its image is built for another processor than the node's.
    Architecture,
    /// Something that it needs at its start does not answer.
    Unreached,
    /// TLS with something that it needs at its start fails.
    Certificate,
    /// Its object store answers, and refuses it.
    Store,
    /// Its copy of what it watches in the API server is not filled in time.
    Cache,
    /// An API of AWS answers that something is not there or too much.
    Cloud,
    /// It measures GPUs of NVIDIA, and does not find the driver's library in its container.
    Gpu,
    /// Thanos asks Prometheus to leave its blocks as they are.
    Compaction,
    /// What it reads is of a newer program than it knows.
    Outgrown,
    /// It panics: a bug of its own.
    Panic,
}

impl Class {
    /// The files of the configuration are at fault.
    pub(crate) fn is_configuration(self) -> bool {
        matches!(self, Self::Config | Self::Rules | Self::Template | Self::Agent)
    }

    /// The kernel of its node does not suit it.
    pub(crate) fn is_of_kernel(self) -> bool {
        matches!(self, Self::NodeKernel | Self::PageSize)
    }

    /// The volume or what lies on it is at fault.
    pub(crate) fn is_storage(self) -> bool {
        use Class::{
            Block, Chown, DatabaseLocked, Device, DiskFull, HeadChunks, IndexLog, Lock, NewerData, Permission,
            ReadOnly, State, Wal,
        };
        matches!(
            self,
            Permission
                | Chown
                | ReadOnly
                | Lock
                | DiskFull
                | Wal
                | IndexLog
                | Block
                | NewerData
                | HeadChunks
                | State
                | DatabaseLocked
                | Device
        )
    }
}

/// What is known of a fault beyond its class, where its fix depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Detail {
    /// Nothing.
    #[default]
    None,
    /// A duration is empty.
    EmptyDuration,
    /// A receiver is used and not defined.
    UndefinedReceiver,
    /// Another name is used in a route and not defined.
    Undefined,
    /// A field that the section does not have.
    UnknownField,
    /// The file holds a whole object of Kubernetes.
    KubernetesObject,
    /// A URL is refused: what is named may stand in the file in another form.
    Url,
    /// What is named is lacking, or may stand in the file in another form.
    MayLack,
    /// A flag with one dash.
    ShortFlag,
    /// A command that lies below another one, which has to stand before it.
    Below(&'static str),
    /// A right that is missing, and the ServiceAccount that lacks it.
    Denied(Account, Act),
    /// It still waited when it was ended: no signal and no probe tells more.
    Waits,
    /// The image starts this program, which knows none of the container's arguments.
    OtherProgram(String),
    /// How its object store refuses it.
    Store(StoreFailure),
    /// The resource, as kubectl takes it, of which it was reading objects.
    About(String),
    /// The API by which it was about to make something is not served.
    OldApi,
    /// What is not there.
    Absent(Thing),
    /// What is wrong with TLS.
    Tls(TlsCause),
}

/// Why a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crash {
    /// What kind of fault.
    pub(crate) class: Class,
    /// What is known beyond that.
    pub(crate) detail: Detail,
    /// The file or directory that it is about.
    pub(crate) file: Option<String>,
    /// Line in the file.
    pub(crate) line: Option<usize>,
    /// Group of rules.
    pub(crate) group: Option<String>,
    /// Rule: its name.
    pub(crate) rule: Option<String>,
    /// The field, flag, value, name or port that is wrong.
    pub(crate) what: Option<String>,
    /// What was meant.
    pub(crate) instead: Option<String>,
    /// What the program says, in one sentence.
    pub(crate) reason: String,
    /// What to do about it, in one sentence; empty where the class says it all.
    pub(crate) advice: String,
    /// The line that says so.
    pub(crate) said: String,
}

impl Crash {
    /// The host that is not reached or not trusted, and its port where that is said.
    pub(crate) fn unreached(&self) -> Option<(&str, Option<&str>)> {
        let host = self.what.as_deref().filter(|_| matches!(self.class, Class::Unreached | Class::Certificate))?;
        Some(host.rsplit_once(':').map_or((host, None), |(name, port)| (name, Some(port))))
    }

    pub(super) fn new(class: Class, reason: impl AsRef<str>) -> Self {
        Self {
            class,
            detail: Detail::None,
            file: None,
            line: None,
            group: None,
            rule: None,
            what: None,
            instead: None,
            reason: redact(reason.as_ref()),
            advice: String::new(),
            said: String::new(),
        }
    }

    pub(super) fn file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into()).filter(|f| !f.is_empty());
        self
    }

    pub(super) fn maybe_file(mut self, file: Option<impl Into<String>>) -> Self {
        self.file = file.map(Into::into).filter(|f| !f.is_empty()).or(self.file);
        self
    }

    pub(super) fn what(mut self, what: impl Into<String>) -> Self {
        self.what = Some(what.into());
        self
    }

    pub(super) fn instead(mut self, instead: Option<impl Into<String>>) -> Self {
        self.instead = instead.map(Into::into);
        self
    }

    pub(super) fn detail(mut self, detail: Detail) -> Self {
        self.detail = detail;
        self
    }

    pub(super) fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }

    /// Place, reason and proposal in one sentence.
    pub(crate) fn sentence(&self) -> String {
        // Most errors of the operating system name the file themselves.
        let named = |file: &&String| !self.reason.contains(file.as_str());
        let mut text = self.file.as_ref().filter(named).cloned().unwrap_or_default();
        if let Some(line) = self.line {
            text = format!("{text} line {line}").trim_start().to_owned();
        }
        match (&self.group, &self.rule) {
            (Some(group), Some(rule)) => text = format!("{text} (group {group}, rule {rule})"),
            (Some(group), None) => text = format!("{text} (group {group})"),
            _ => {}
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&self.reason);
        match &self.instead {
            Some(instead) => format!("{text} ({instead}?)"),
            None => text,
        }
    }
}
