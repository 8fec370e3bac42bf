//! The words every other module speaks: severities, resources, findings, gaps, reports. No I/O.

mod change;
mod evidence;
mod fact;
mod finding;
mod fix;
mod gap;
mod location;
mod meta;
mod observer;
mod outcome;
mod placeholder;
mod program;
mod remediation;
mod report;
mod resource;
mod rights;
mod severity;
mod signal;

pub use change::Change;
pub use evidence::Evidence;
pub use fact::{Access, Fact, KubernetesAccess};
pub use finding::{Cause, Finding};
pub use fix::{FixValues, Params, VARIANT};
pub use gap::{Gap, GapCause};
pub use location::{Location, Place};
pub use meta::{CheckId, CheckMeta, Suite};
pub use observer::{Observer, Silent};
pub use outcome::{Diagnosis, Outcome};
pub use placeholder::Placeholder;
pub use program::Program;
pub use remediation::{FixOption, Remediation, Risk, Step, StepKind};
pub use report::{CheckRun, Linked, ManifestCount, Report, RootGroup, Stats, Target};
pub use resource::{AwsResource, ResourceRef};
pub use rights::Rights;
pub use severity::Severity;
pub use signal::{Signal, SignalKind, Weight};
