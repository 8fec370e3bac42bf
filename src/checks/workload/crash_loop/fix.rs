//! The fixes of a crash.

use crate::checks::workload::crash_loop::own_values::Panic;
use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::back::Back;
use crate::checks::support::kept::Kept;
use crate::checks::support::trust::Certificate;
use crate::checks::workload::crash_loop::case::{Case, on_network};
use crate::checks::workload::crash_loop::cluster::cluster;
use crate::checks::workload::crash_loop::data::{storage, volume};
use crate::checks::workload::crash_loop::files::{configuration, file_way};
use crate::checks::workload::crash_loop::flags::{flag, listening, variable};
use crate::checks::workload::crash_loop::gpu;
use crate::checks::workload::crash_loop::grafana::grafana;
use crate::checks::workload::crash_loop::kernel::kernel;
use crate::checks::workload::crash_loop::node_kernel::{node_kernel, page_size};
use crate::checks::workload::crash_loop::outside::{outside, store};
use crate::checks::workload::crash_loop::unclear::{is_previous, other, unknown};
use crate::checks::workload::crash_loop::values::{Workload, node};
use crate::checks::workload::crash_loop::way::Way;
use crate::domain::crash::{Class, Crash, Detail};

/// The workload, the way back to what ran where that is known, and one way to fix it.
#[derive(Serialize, JsonSchema)]
pub(super) struct Fix {
    #[serde(flatten)]
    workload: Workload,
    #[serde(flatten)]
    back: Back,
    #[serde(flatten)]
    way: Way,
}

impl Fix {
    /// What fixes this crash.
    pub(super) fn of(case: &Case<'_>) -> Self {
        let way = match &case.crash {
            Some(crash) => of_crash(case, crash),
            None => unknown(case),
        };
        Self { workload: Workload::of(case), back: case.clue.back(case.snap, case.failing, &case.target), way }
    }
}

fn of_crash(case: &Case<'_>, crash: &Crash) -> Way {
    match crash.class {
        Class::Config | Class::Rules | Class::Template | Class::Agent => configuration(case, crash),
        Class::ConfigMissing | Class::ConfigDirectory | Class::Unreadable | Class::WebConfig => file_way(case, crash),
        Class::Permission
        | Class::Chown
        | Class::ReadOnly
        | Class::Lock
        | Class::DiskFull
        | Class::Wal
        | Class::IndexLog
        | Class::Block
        | Class::NewerData
        | Class::HeadChunks
        | Class::State
        | Class::DatabaseDamaged => storage(case, crash),
        Class::Flag => flag(case, crash),
        Class::Port | Class::Bind | Class::Cluster | Class::AgentAddress => listening(case, crash),
        Class::Variable => variable(case, crash),
        Class::Store => store(case, crash),
        Class::SecondDefault
        | Class::Provisioning
        | Class::Plugin
        | Class::TwoSources
        | Class::Ini
        | Class::Migration
        | Class::DatabaseLocked
        | Class::Database => grafana(case, crash),
        Class::Credentials
        | Class::CrdMissing
        | Class::Forbidden
        | Class::Webhook
        | Class::ApiServer
        | Class::NoToken
        | Class::ExternalLabels
        | Class::Outgrown
        | Class::Compaction => cluster(case, crash),
        Class::Inotify | Class::Processes | Class::MapCount | Class::Kernel | Class::PacketFilter => {
            kernel(case, crash)
        }
        Class::NodeKernel => node_kernel(case),
        Class::PageSize => page_size(case),
        Class::Gpu => gpu::way(case),
        Class::Panic => Way::Panic(Panic {
            advice: crash.advice.clone(),
            reads: match &crash.detail {
                Detail::About(resource) => resource.clone(),
                _ => String::new(),
            },
            container: case.failing.container.name.clone(),
            previous: case.failing.cause.said().is_none_or(|(_, previous)| previous),
            pod: case.pod_name(),
            kept: Kept::of(&case.target),
        }),
        Class::Certificate => {
            let of = (case.failing.pod, case.failing.container);
            Way::Certificate(Certificate::of(case.snap, of, &case.target, crash, case.named()))
        }
        // No disk of the node fails there.
        Class::Device if on_network(case) => other(case, is_previous(case)),
        Class::Device => Way::Device { pod: case.pod_name(), node: node(case), volume: volume(case) },
        Class::Metadata
        | Class::MemoryMap
        | Class::Memberlist
        | Class::Architecture
        | Class::Unreached
        | Class::Cache
        | Class::Cloud => outside(case, crash),
    }
}
