//! Manifests that name something of AWS which is not there, or not for this cluster.

use schemars::JsonSchema;
use serde::Serialize;

use crate::checks::support::place::Place;
use crate::checks::support::written::{self, PIPED};
use crate::checks::{Check, check};
use crate::domain::aws::identity::Identity;
use crate::domain::aws::trust;
use crate::domain::manifests::brought_roles::{self, Brought};
use crate::domain::manifests::certificates;
use crate::domain::manifests::given;
use crate::domain::manifests::roles::{self, Asked};
use crate::lint::Problem;
use crate::model::{CheckMeta, Diagnosis, Finding, Gap, GapCause};
use crate::snapshot::aws::Role;
use crate::snapshot::{Platform, Snapshot};

check! {
    /// See the check's page.
    ManifestAws {
        id: "manifest-aws", suite: Manifests, severity: Error,
        title: "manifests name what AWS does not have for this cluster",
        requires: [Manifests],
        uses: [IamRoles, EksCluster, PodIdentityAssociations],
        fix: Fix,
    }
}

/// See the page's fixes.
#[derive(Serialize, JsonSchema)]
struct Fix {
    file: String,
    piped: bool,
    #[serde(flatten)]
    way: Way,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "variant", rename_all = "kebab-case")]
enum Way {
    RoleAbsent {
        role: String,
    },
    Trust {
        role: String,
        /// Empty: where a statement denies it, whoever wrote it decides.
        denied: String,
        added_trust: String,
    },
    /// The role comes with the files.
    Written {
        role: String,
        /// The object that makes it, and its field.
        holder: String,
        field: &'static str,
        trust: String,
    },
    Certificate {
        region: String,
    },
}

impl Check for ManifestAws {
    fn meta(&self) -> &'static CheckMeta {
        &Self::META
    }

    fn diagnose(&self, snap: &Snapshot) -> Result<Diagnosis, Gap> {
        snap.manifests()?;
        let (roles, certificates) = (roles::of(snap), certificates::of(snap));
        if snap.platform == Platform::Other {
            return Ok(Diagnosis::NotApplicable("the cluster is not one of EKS".into()));
        }
        if roles.is_empty() && certificates.is_empty() {
            return Ok(Diagnosis::NotApplicable("the files name neither roles nor certificates of AWS".into()));
        }
        let (mut found, mut unseen) = (Vec::new(), None);
        for asked in &roles {
            match of_role(snap, asked) {
                Ok(finding) => found.extend(finding),
                Err(gap) => unseen = unseen.or(Some(gap)),
            }
        }
        let known = Identity::of(snap);
        if let Some(region) = known.region {
            for asked in &certificates {
                let Some(message) = asked.misfit(region, known.account) else { continue };
                let problems = [Problem::new(asked.node.place, asked.path.as_str(), message)];
                let made = written::of_object(&Self::META, asked.file, asked.object, &problems, "");
                let way = Way::Certificate { region: region.to_owned() };
                found.push(made.fix(Fix { file: asked.file.path.clone(), piped: asked.file.path == PIPED, way }));
            }
        }
        match unseen {
            Some(gap) if found.is_empty() => Err(gap),
            _ => Ok(Diagnosis::Findings(found)),
        }
    }
}

/// A role that does not exist, or does not let its ServiceAccount have it.
fn of_role(snap: &Snapshot, asked: &Asked<'_>) -> Result<Option<Finding>, Gap> {
    // What the files bring takes the place of what is there.
    if let Some(brought) = brought_roles::of(snap, asked.arn) {
        return of_brought(snap, asked, &brought);
    }
    let Some(read) = snap.iam_roles()?.get(asked.arn) else {
        return Err(Gap::new("iam:GetRole", GapCause::NotCollected, format!("role {} was not read", asked.arn)));
    };
    let name = asked.arn.rsplit('/').next().unwrap_or(asked.arn).to_owned();
    let (message, way) = match read.as_ref().map_err(Clone::clone)? {
        None => (format!("role {} does not exist", asked.arn), Way::RoleAbsent { role: name }),
        Some(role) => match distrust(snap, asked, role)? {
            Some(found) => found,
            None => return Ok(None),
        },
    };
    // Pod Identity comes before the annotation, which then only stands there.
    if let Some(account) = asked.object {
        let associations = snap.pod_identity_associations()?;
        if associations.iter().any(|a| a.is_of(&account.namespace, &account.name)) {
            return Ok(None);
        }
    }
    let problems = [Problem::new(asked.node.place, asked.path.as_str(), message)];
    let so = ": its pods get no credentials";
    let made = match (asked.object, &asked.values) {
        (Some(object), _) => written::of_object(&ManifestAws::META, asked.file, object, &problems, so),
        (None, Some(values)) => written::of_values(&ManifestAws::META, asked.file, values, &problems, so),
        (None, None) => return Ok(None),
    };
    let key = format!("{} {}", made.key, asked.arn);
    Ok(Some(made.key(key).fix(Fix { file: asked.file.path.clone(), piped: asked.file.path == PIPED, way })))
}

/// A role of the files that does not let its ServiceAccount have it.
fn of_brought(snap: &Snapshot, asked: &Asked<'_>, brought: &Brought<'_>) -> Result<Option<Finding>, Gap> {
    let Some((trust_policy, node, field)) = &brought.trust else { return Ok(None) };
    let name = asked.arn.rsplit('/').next().unwrap_or(asked.arn).to_owned();
    let role = Role { name: name.clone(), trust_policy: trust_policy.clone(), ..Role::default() };
    let Some((message, way)) = distrust(snap, asked, &role)? else { return Ok(None) };
    let trust = if let Way::Trust { added_trust, .. } = way { added_trust } else { String::new() };
    let problems = [Problem::new(node.place, *field, message)];
    let so = ": its pods get no credentials";
    let made = written::of_object(&ManifestAws::META, brought.file, brought.object, &problems, so);
    let way = Way::Written { role: name, holder: given::full_name(brought.object), field, trust };
    let key = format!("{} {}", made.key, asked.arn);
    let (file, piped) = (brought.file.path.clone(), brought.file.path == PIPED);
    Ok(Some(made.key(key).fix(Fix { file, piped, way })))
}

/// What a role's trust policy lacks for a ServiceAccount whose name and namespace are known.
fn distrust(snap: &Snapshot, asked: &Asked<'_>, role: &Role) -> Result<Option<(String, Way)>, Gap> {
    if roles::are_renamed(snap) {
        return Ok(None);
    }
    let Some(account) = asked.object.filter(|o| !o.namespace.is_empty() && !o.name.is_empty()) else {
        return Ok(None);
    };
    let issuer = snap.eks_cluster()?.issuer_host_path();
    if issuer.is_empty() {
        return Ok(None);
    }
    let provider = Place::of(snap).provider_arn(issuer);
    let subject = format!("system:serviceaccount:{}:{}", account.namespace, account.name);
    let Some(mismatch) = trust::irsa(&role.trust_policy, &provider, issuer, &subject) else { return Ok(None) };
    let message = format!("the trust policy of role {} does not admit {subject}: {}", role.name, mismatch.words());
    let statement = trust::irsa_statement(&provider, issuer, &account.namespace, &account.name);
    let denied = if mismatch.part == "Deny" { mismatch.found.clone() } else { String::new() };
    let added_trust = trust::with_statement(&role.trust_policy, statement).to_string();
    Ok(Some((message, Way::Trust { role: role.name.clone(), denied, added_trust })))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::checks::support::testing::{findings, steps};
    use crate::domain::testing::snapshot;
    use crate::lint::yaml;
    use crate::snapshot::Listing;
    use crate::snapshot::aws::Cluster;
    use crate::snapshot::manifests::ManifestFile;

    const ARN: &str = "arn:aws:iam::111122223333:role/loki";

    fn with(text: &str, role: Option<serde_json::Value>) -> Snapshot {
        let mut file = ManifestFile::new("k8s/sa.yaml", text);
        for document in yaml::documents(text).expect("is YAML") {
            file.add(document, true);
        }
        let mut snap = snapshot(json!({}));
        snap.manifests = Listing::cluster(vec![file]);
        let cluster: Cluster =
            serde_json::from_value(json!({"name": "c", "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/c",
            "identity": {"oidc": {"issuer": "https://oidc.eks.eu-west-1.amazonaws.com/id/A"}}}))
            .expect("a cluster");
        *snap.eks_cluster = Ok(cluster);
        let role =
            role.map(|trust_policy| Role { name: "loki".into(), arn: ARN.into(), trust_policy, ..Role::default() });
        *snap.iam_roles = Ok([(ARN.to_owned(), Ok(role))].into());
        *snap.pod_identity_associations = Ok(Vec::new());
        snap
    }

    fn account(name: &str) -> String {
        format!(
            "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {name}\n  namespace: logs\n  annotations:\n    eks.amazonaws.com/role-arn: {ARN}\n"
        )
    }

    fn trusting(name: &str) -> serde_json::Value {
        let issuer = "oidc.eks.eu-west-1.amazonaws.com/id/A";
        let provider = format!("arn:aws:iam::111122223333:oidc-provider/{issuer}");
        serde_json::from_str(&trust::document(trust::irsa_statement(&provider, issuer, "logs", name))).expect("is JSON")
    }

    #[test]
    fn the_role_of_an_account_exists_and_trusts_it() {
        assert!(findings(&ManifestAws, &with(&account("loki"), Some(trusting("loki")))).is_empty());
        let absent = findings(&ManifestAws, &with(&account("loki"), None));
        assert!(
            absent[0].message.contains("role arn:aws:iam::111122223333:role/loki does not exist"),
            "{}",
            absent[0].message
        );
        let other = findings(&ManifestAws, &with(&account("loki"), Some(trusting("tempo"))));
        assert!(other[0].message.contains("does not admit system:serviceaccount:logs:loki"), "{}", other[0].message);
        assert!(steps(&other[0]).contains("update-assume-role-policy"), "{}", steps(&other[0]));
        let values = format!("serviceAccount:\n  annotations:\n    eks.amazonaws.com/role-arn: {ARN}\n");
        assert_eq!(findings(&ManifestAws, &with(&values, None)).len(), 1);
        assert!(findings(&ManifestAws, &with(&values, Some(trusting("tempo")))).is_empty(), "its name is the chart's");
    }

    #[test]
    fn a_role_that_comes_with_the_files_is_there() {
        let role = |account: &str| {
            let trust = trusting(account).to_string();
            format!(
                "---\napiVersion: iam.services.k8s.aws/v1alpha1\nkind: Role\nmetadata: {{name: loki-role, namespace: ack}}\nspec:\n  name: loki\n  assumeRolePolicyDocument: '{trust}'\n"
            )
        };
        let of = |text: &str| findings(&ManifestAws, &with(&format!("{}{text}", account("loki")), None));
        assert!(of(&role("loki")).is_empty(), "the controller of ACK makes it");
        let other = of(&role("tempo"));
        assert_eq!(other[0].variant, "written");
        assert!(other[0].message.contains("does not admit system:serviceaccount:logs:loki"), "{}", other[0].message);
        assert!(steps(&other[0]).contains("spec.assumeRolePolicyDocument"), "{}", steps(&other[0]));
        assert_eq!(of(&role("loki").replace("name: loki\n", "name: other\n"))[0].variant, "role-absent");
    }

    #[test]
    fn what_is_called_otherwise_or_has_its_role_from_elsewhere_is_left_alone() {
        let other = |text: &str| with(&format!("{}{text}", account("loki")), Some(trusting("tempo")));
        assert_eq!(findings(&ManifestAws, &other("")).len(), 1);
        let renamed =
            "---\napiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nnamespace: observability\n";
        assert!(findings(&ManifestAws, &other(renamed)).is_empty());
        let mut associated = other("");
        let association = json!([{"namespace": "logs", "serviceAccount": "loki"}]);
        *associated.pod_identity_associations = Ok(serde_json::from_value(association).expect("an association"));
        assert!(findings(&ManifestAws, &associated).is_empty());
    }

    #[test]
    fn a_certificate_is_of_the_clusters_region() {
        let ingress = |region: &str| {
            format!(
                "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: g\n  annotations:\n    alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:{region}:111122223333:certificate/0a1b2c3d\nspec: {{ingressClassName: alb}}\n"
            )
        };
        assert!(findings(&ManifestAws, &with(&ingress("eu-west-1"), None)).is_empty());
        let found = findings(&ManifestAws, &with(&ingress("us-east-1"), None));
        assert!(found[0].message.contains("of us-east-1, and the cluster is in eu-west-1"), "{}", found[0].message);
    }
}
