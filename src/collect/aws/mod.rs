//! AWS: the cluster and its add-ons, its VPC, and the IAM roles that the stack uses.

mod ask;
mod certificates;
mod eks;
#[cfg(feature = "aws")]
pub mod live;
mod roles;
mod vpc;

use super::Plan;
use super::client::Client;
use super::source::{AwsCall, FetchError, Known};
use crate::model::{Fact, Gap, GapCause};
use crate::snapshot::aws::{
    Addon, Address, CallerIdentity, Cluster, FargateProfile, Instance, InternetGateway, LoadBalancer, NatGateway,
    NetworkAcl, Nodegroup, OidcProvider, PodIdentityAssociation, RouteTable, SecurityGroup, Subnet, TargetGroup,
    Update, Vpc, VpcEndpoint,
};
use crate::snapshot::{Fetched, Platform, Reading, Snapshot, not_collected};
use ask::{call, field};
pub(super) use certificates::certificates;
pub(super) use eks::roles_of_associations;
use eks::{eks_facts, more_facts, updates};
pub(super) use roles::roles;
use vpc::vpc_facts;

/// Where AWS is to be asked, or why not.
pub(super) type AwsTarget = Result<Place, Gap>;

/// The cluster in AWS.
#[derive(Debug, Clone)]
pub(super) struct Place {
    cluster: String,
    region: Option<String>,
    account: Option<String>,
}

impl Snapshot {
    /// The cluster's name and place in AWS, as far as the kubeconfig, the flags and the nodes tell.
    pub(super) fn aws_target(&self, known: &Known) -> AwsTarget {
        if self.platform == Platform::Other {
            return Err(Gap::new("AWS", GapCause::NotConfigured, "the cluster is not on EKS"));
        }
        if let Some(reason) = &known.aws_unavailable {
            return Err(Gap::new("AWS", GapCause::NotConfigured, reason).hint("use a kdoctor built with AWS support"));
        }
        let nodes = self.nodes.items().unwrap_or_default();
        let label = |key: &str| nodes.iter().find_map(|n| n.metadata.label(key)).map(str::to_owned);
        let cluster = known.cluster.clone().or_else(|| label("alpha.eksctl.io/cluster-name"));
        let Some(cluster) = cluster else {
            return Err(Gap::new("AWS", GapCause::NotConfigured, "the name of the EKS cluster is not known")
                .hint("give --cluster-name NAME (aws eks list-clusters shows them)"));
        };
        let region = known.region.clone().or_else(|| label("topology.kubernetes.io/region"));
        Ok(Place { cluster, region, account: known.account.clone() })
    }
}

/// What AWS said, ready to be put into a snapshot.
pub(super) struct Facts {
    place: AwsTarget,
    account: Option<String>,
    caller: Fetched<CallerIdentity>,
    cluster: Fetched<Cluster>,
    addons: Fetched<Vec<Addon>>,
    nodegroups: Fetched<Vec<Nodegroup>>,
    updates: Reading<Vec<Update>>,
    fargate: Fetched<Vec<String>>,
    associations: Reading<Vec<PodIdentityAssociation>>,
    providers: Reading<Vec<OidcProvider>>,
    subnets: Fetched<Vec<Subnet>>,
    route_tables: Fetched<Vec<RouteTable>>,
    nat_gateways: Fetched<Vec<NatGateway>>,
    internet_gateways: Fetched<Vec<InternetGateway>>,
    network_acls: Fetched<Vec<NetworkAcl>>,
    security_groups: Fetched<Vec<SecurityGroup>>,
    instances: Fetched<Vec<Instance>>,
    vpc_endpoints: Fetched<Vec<VpcEndpoint>>,
    profiles: Fetched<Vec<FargateProfile>>,
    access_entries: Fetched<Vec<String>>,
    vpcs: Fetched<Vec<Vpc>>,
    addresses: Fetched<Vec<Address>>,
    load_balancers: Fetched<Vec<LoadBalancer>>,
    target_groups: Reading<Vec<TargetGroup>>,
}

impl Facts {
    fn missing(place: AwsTarget, gap: &Gap, plan: &Plan) -> Self {
        macro_rules! gap {
            ($fact:ident) => {
                Err(if plan.wants(Fact::$fact) { gap.clone() } else { not_collected(Fact::$fact) })
            };
        }
        Self {
            place,
            account: None,
            caller: gap!(CallerIdentity),
            cluster: gap!(EksCluster),
            addons: gap!(EksAddons),
            nodegroups: gap!(EksNodegroups),
            updates: gap!(EksUpdates).into(),
            fargate: gap!(EksFargateProfiles),
            associations: gap!(PodIdentityAssociations).into(),
            providers: gap!(IamOidcProviders).into(),
            subnets: gap!(Subnets),
            route_tables: gap!(RouteTables),
            nat_gateways: gap!(NatGateways),
            internet_gateways: gap!(InternetGateways),
            network_acls: gap!(NetworkAcls),
            security_groups: gap!(SecurityGroups),
            instances: gap!(Instances),
            vpc_endpoints: gap!(VpcEndpoints),
            profiles: gap!(FargateProfiles),
            access_entries: gap!(AccessEntries),
            vpcs: gap!(Vpcs),
            addresses: gap!(Addresses),
            load_balancers: gap!(LoadBalancers),
            target_groups: gap!(TargetGroups).into(),
        }
    }

    /// Puts them into the snapshot.
    pub(super) fn store(self, snap: &mut Snapshot) {
        if let Ok(place) = &self.place {
            snap.target.cluster = Some(place.cluster.clone());
            snap.target.region.clone_from(&place.region);
            snap.target.account = self.account.or(place.account.clone());
        }
        *snap.caller_identity = self.caller;
        *snap.eks_cluster = self.cluster;
        *snap.eks_addons = self.addons;
        *snap.eks_nodegroups = self.nodegroups;
        snap.eks_updates = self.updates;
        *snap.eks_fargate_profiles = self.fargate;
        snap.pod_identity_associations = self.associations;
        snap.iam_oidc_providers = self.providers;
        *snap.subnets = self.subnets;
        *snap.route_tables = self.route_tables;
        *snap.nat_gateways = self.nat_gateways;
        *snap.internet_gateways = self.internet_gateways;
        *snap.network_acls = self.network_acls;
        *snap.security_groups = self.security_groups;
        *snap.instances = self.instances;
        *snap.vpc_endpoints = self.vpc_endpoints;
        *snap.fargate_profiles = self.profiles;
        *snap.access_entries = self.access_entries;
        *snap.vpcs = self.vpcs;
        *snap.addresses = self.addresses;
        *snap.load_balancers = self.load_balancers;
        snap.target_groups = self.target_groups;
    }
}

/// Asks AWS for everything but the roles.
pub(super) async fn gather(client: &Client, plan: &Plan, target: &AwsTarget) -> Facts {
    let place = match target {
        Ok(place) => place,
        Err(gap) => return Facts::missing(Err(gap.clone()), gap, plan),
    };
    if !plan.facts.iter().any(|f| f.is_aws()) {
        let gap = not_collected(Fact::EksCluster);
        return Facts::missing(target.clone(), &gap, plan);
    }
    let name = place.cluster.clone();
    let (identity, cluster) = futures::join!(
        call::<CallerIdentity>(client, AwsCall::GetCallerIdentity),
        field::<Cluster>(client, AwsCall::DescribeCluster { name: name.clone() }, "cluster")
    );
    let caller = identity.map_err(|e| e.into_gap("sts:GetCallerIdentity"));
    let account = match own_account(&caller, place, cluster.as_ref().ok()) {
        Ok(account) => account,
        Err(gap) => return Facts { caller, ..Facts::missing(target.clone(), &gap, plan) },
    };
    let cluster = cluster.map_err(|e| match e {
        FetchError::NotFound(message) => Gap::new("eks:DescribeCluster", GapCause::NotConfigured, message)
            .hint("check --cluster-name, --region and --profile"),
        other => other.into_gap("eks:DescribeCluster"),
    });
    let eks = async {
        let eks = eks_facts(client, plan, &name).await;
        let updates = updates(client, plan, &name, &eks.0, &eks.1).await;
        (eks, updates)
    };
    let ((eks, updates), vpc, more) =
        futures::join!(eks, vpc_facts(client, plan, &cluster), more_facts(client, plan, &name));
    let (addons, nodegroups, fargate, associations, providers) = eks;
    let (profiles, access_entries, addresses) = more;
    Facts {
        place: target.clone(),
        account,
        caller,
        cluster,
        addons,
        nodegroups,
        updates,
        fargate,
        associations: associations.into(),
        providers,
        profiles,
        access_entries,
        addresses,
        ..vpc
    }
}

/// The credentials' account; a gap if it is not the cluster's: what they see would be another account's.
fn own_account(
    identity: &Fetched<CallerIdentity>,
    place: &Place,
    cluster: Option<&Cluster>,
) -> Result<Option<String>, Gap> {
    let identity = match identity {
        Ok(identity) => identity,
        Err(gap) if matches!(gap.cause, GapCause::Unauthorized | GapCause::NotConfigured) => return Err(gap.clone()),
        Err(_) => return Ok(None),
    };
    let account = Some(identity.account.clone()).filter(|a| !a.is_empty());
    let of_cluster = cluster.and_then(|c| c.account().map(str::to_owned)).or_else(|| place.account.clone());
    match (&account, of_cluster) {
        (Some(own), Some(of_cluster)) if *own != of_cluster => {
            let message = format!("the credentials are of account {own}, the cluster is in account {of_cluster}");
            Err(Gap::new("AWS", GapCause::NotConfigured, message).hint("choose the right --profile"))
        }
        _ => Ok(account),
    }
}
