//! `kdoctor permissions`: the least that the checks need to read, as manifests to apply.

use crate::cli::{Permissions, RightsFormat, SelectArgs};
use crate::diagnose;
use crate::model::{Fact, Rights};
use crate::term::Printer;

/// Name of the ClusterRole, of its binding, and of the group that it is bound to.
const NAME: &str = "kdoctor";

/// Prints them.
///
/// # Errors
/// stdout cannot be written, or a word of `--only` is no check.
pub(super) fn run(args: &Permissions, printer: &Printer) -> anyhow::Result<u8> {
    let checks = super::run::selected(&SelectArgs { only: args.only.clone(), skip: Vec::new() })?;
    let all = args.only.is_empty();
    let mut facts = if all { diagnose::facts(&checks) } else { diagnose::facts_of(&checks) };
    // The platform and the stack are found by them, whatever is checked.
    facts.extend([Fact::Nodes, Fact::Services, Fact::Workloads, Fact::MonitoringResources]);
    // Probes are asked for by a flag of their own, and whoever may list Secrets may read them.
    facts.retain(|f| match f {
        Fact::Probes => args.probe,
        Fact::HelmReleases => args.helm_releases,
        _ => true,
    });
    let rights = Rights::of(facts);
    let rights = if args.watch { rights.with_watch() } else { rights };
    printer.stdout(&text(&rights, args.format))?;
    Ok(0)
}

fn text(rights: &Rights, format: RightsFormat) -> String {
    match format {
        RightsFormat::Rbac => rbac(rights),
        RightsFormat::Iam => rights.iam_policy(),
        // A policy is no manifest: as comments it can stand in one file with them.
        RightsFormat::Both if rights.is_without_aws() => rbac(rights),
        RightsFormat::Both => {
            let policy: String = rights.iam_policy().lines().map(|l| format!("# {l}\n")).collect();
            format!("{}---\n# IAM policy (kdoctor permissions --format iam prints it alone):\n{policy}", rbac(rights))
        }
    }
}

fn rbac(rights: &Rights) -> String {
    format!(
        "{}---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata:\n  name: {NAME}\nroleRef:\n  \
         apiGroup: rbac.authorization.k8s.io\n  kind: ClusterRole\n  name: {NAME}\nsubjects:\n  # aws eks create-access-entry \
         --cluster-name CLUSTER --principal-arn ARN --kubernetes-groups {NAME}\n  - apiGroup: rbac.authorization.k8s.io\n    \
         kind: Group\n    name: {NAME}\n",
        rights.cluster_role(NAME)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_what_its_readers_take() {
        let rights = Rights::of([Fact::Pods, Fact::EksCluster]);
        let policy: serde_json::Value = serde_json::from_str(&text(&rights, RightsFormat::Iam)).expect("is JSON");
        assert_eq!(policy["Version"], "2012-10-17");
        let both = text(&rights, RightsFormat::Both);
        assert!(both.starts_with("apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n"), "{both}");
        assert!(both.contains("kind: ClusterRoleBinding") && both.contains("#       \"Action\""), "{both}");
        let without = Rights::of([Fact::Pods]);
        assert_eq!(text(&without, RightsFormat::Both), text(&without, RightsFormat::Rbac));
    }
}
