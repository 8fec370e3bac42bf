//! AWS: the cluster and its add-ons, its VPC, and the IAM roles that the stack uses.

#[cfg(feature = "aws")]
pub mod live;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Plan;
use super::client::Client;
use super::source::{AwsCall, FetchError, Known, Request};
use crate::domain::manifests::roles;
use crate::model::{Fact, Gap, GapCause};
use crate::snapshot::aws::{
    Addon, Address, CallerIdentity, Cluster, FargateProfile, Instance, InternetGateway, LoadBalancer, NatGateway,
    NetworkAcl, Nodegroup, OidcProvider, PodIdentityAssociation, Role, RouteTable, SecurityGroup, Subnet, TargetGroup,
    TargetHealth, Update, Updated, Vpc, VpcEndpoint,
};
use crate::snapshot::{Fetched, Platform, Reading, Snapshot, not_collected};

/// Roles that are read at most.
const MAX_ROLES: usize = 24;
/// Seconds within which an add-on or a node group was changed whose updates are read.
const UPDATES_SINCE: i64 = 24 * 3600;
/// Add-ons and node groups whose updates are read at most.
const MOST_UPDATED: usize = 8;
/// Updates of each that are read at most.
const MOST_READ: usize = 40;

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
        associations,
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

async fn call<T: DeserializeOwned + Send + 'static>(client: &Client, call: AwsCall) -> Result<T, FetchError> {
    client.json(&Request::Aws(call)).await
}

/// One field of an answer.
async fn field<T: DeserializeOwned + Send + 'static>(
    client: &Client,
    aws: AwsCall,
    name: &str,
) -> Result<T, FetchError> {
    let what = aws.iam_action();
    let mut answer: Value = call(client, aws).await?;
    let value = answer.get_mut(name).map(Value::take).unwrap_or_default();
    T::deserialize(value).map_err(|error| {
        let message = format!("field {name} is not in the documented form: {error}");
        FetchError::Gap(Gap::new(what, GapCause::BadAnswer, message))
    })
}

async fn list<T: DeserializeOwned + Send + 'static>(client: &Client, aws: AwsCall, name: &str) -> Fetched<Vec<T>> {
    let what = aws.iam_action();
    field(client, aws, name).await.map_err(|e| e.into_gap(&what))
}

type EksFacts = (
    Fetched<Vec<Addon>>,
    Fetched<Vec<Nodegroup>>,
    Fetched<Vec<String>>,
    Reading<Vec<PodIdentityAssociation>>,
    Reading<Vec<OidcProvider>>,
);

async fn eks_facts(client: &Client, plan: &Plan, cluster: &str) -> EksFacts {
    macro_rules! fact {
        ($fact:ident, $call:expr) => {
            async { if plan.wants(Fact::$fact) { $call.await } else { Err(not_collected(Fact::$fact)) } }
        };
    }
    let name = || cluster.to_owned();
    futures::join!(
        fact!(EksAddons, addons(client, cluster)),
        fact!(EksNodegroups, nodegroups(client, cluster)),
        fact!(
            EksFargateProfiles,
            list(client, AwsCall::ListFargateProfiles { cluster: name() }, "fargateProfileNames")
        ),
        async {
            if plan.wants(Fact::PodIdentityAssociations) {
                associations(client, cluster).await
            } else {
                Err(not_collected(Fact::PodIdentityAssociations)).into()
            }
        },
        async {
            if plan.wants(Fact::IamOidcProviders) {
                providers(client).await
            } else {
                Err(not_collected(Fact::IamOidcProviders)).into()
            }
        },
    )
}

type MoreFacts = (Fetched<Vec<FargateProfile>>, Fetched<Vec<String>>, Fetched<Vec<Address>>);

async fn more_facts(client: &Client, plan: &Plan, cluster: &str) -> MoreFacts {
    macro_rules! fact {
        ($fact:ident, $call:expr) => {
            async { if plan.wants(Fact::$fact) { $call.await } else { Err(not_collected(Fact::$fact)) } }
        };
    }
    let entries = AwsCall::ListAccessEntries { cluster: cluster.to_owned() };
    futures::join!(
        fact!(FargateProfiles, fargate_profiles(client, cluster)),
        fact!(AccessEntries, list(client, entries, "accessEntries")),
        fact!(Addresses, list(client, AwsCall::DescribeAddresses, "Addresses")),
    )
}

async fn fargate_profiles(client: &Client, cluster: &str) -> Fetched<Vec<FargateProfile>> {
    let call = AwsCall::ListFargateProfiles { cluster: cluster.to_owned() };
    let names: Vec<String> = list(client, call, "fargateProfileNames").await?;
    let call = |name: String| AwsCall::DescribeFargateProfile { cluster: cluster.to_owned(), name };
    let calls = names.into_iter().map(|n| field(client, call(n), "fargateProfile")).collect();
    details("eks:DescribeFargateProfile", calls).await
}

/// Target groups, each with the health of its targets where that could be read.
async fn target_groups(client: &Client, vpc: &str) -> Reading<Vec<TargetGroup>> {
    let mut groups: Vec<TargetGroup> = match list(client, AwsCall::DescribeTargetGroups, "TargetGroups").await {
        Ok(groups) => groups,
        Err(gap) => return Err(gap).into(),
    };
    groups.retain(|g| g.vpc_id == vpc);
    let call = |g: &TargetGroup| AwsCall::DescribeTargetHealth { group: g.target_group_arn.clone() };
    let calls = groups.iter().map(|g| list::<TargetHealth>(client, call(g), "TargetHealthDescriptions"));
    let answers = join_all(calls).await;
    let mut gaps = Vec::new();
    for (group, answer) in groups.iter_mut().zip(answers) {
        match answer {
            Ok(health) => group.health = Some(health),
            Err(gap) => gaps.push(gap),
        }
    }
    Reading::with_holes(Ok(groups), gaps)
}

/// All of a list's details, or the first gap: a list with holes would turn "not read" into "absent".
async fn details<T, F: Future<Output = Result<T, FetchError>>>(what: &str, calls: Vec<F>) -> Fetched<Vec<T>> {
    join_all(calls).await.into_iter().collect::<Result<_, _>>().map_err(|e| e.into_gap(what))
}

async fn addons(client: &Client, cluster: &str) -> Fetched<Vec<Addon>> {
    let names: Vec<String> = list(client, AwsCall::ListAddons { cluster: cluster.to_owned() }, "addons").await?;
    let call = |name: String| AwsCall::DescribeAddon { cluster: cluster.to_owned(), name };
    details("eks:DescribeAddon", names.into_iter().map(|n| field(client, call(n), "addon")).collect()).await
}

async fn nodegroups(client: &Client, cluster: &str) -> Fetched<Vec<Nodegroup>> {
    let names: Vec<String> =
        list(client, AwsCall::ListNodegroups { cluster: cluster.to_owned() }, "nodegroups").await?;
    let call = |name: String| AwsCall::DescribeNodegroup { cluster: cluster.to_owned(), name };
    details("eks:DescribeNodegroup", names.into_iter().map(|n| field(client, call(n), "nodegroup")).collect()).await
}

/// Updates of the add-ons and node groups that were changed a short time ago: of others nobody asks.
async fn updates(
    client: &Client,
    plan: &Plan,
    cluster: &str,
    addons: &Fetched<Vec<Addon>>,
    nodegroups: &Fetched<Vec<Nodegroup>>,
) -> Reading<Vec<Update>> {
    if !plan.wants(Fact::EksUpdates) {
        return Err(not_collected(Fact::EksUpdates)).into();
    }
    let is_new = |at: &Option<String>| {
        let at = at.as_deref().and_then(|t| t.parse::<Timestamp>().ok());
        at.is_some_and(|t| plan.collected_at.as_second() - t.as_second() < UPDATES_SINCE)
    };
    let addons = addons.iter().flatten().filter(|a| is_new(&a.modified_at));
    let groups = nodegroups.iter().flatten().filter(|n| is_new(&n.modified_at));
    let changed = addons
        .map(|a| Updated::Addon(a.addon_name.clone()))
        .chain(groups.map(|n| Updated::Nodegroup(n.nodegroup_name.clone())));
    let each = changed.take(MOST_UPDATED).map(|of| updates_of(client, cluster, of));
    let (found, gaps): (Vec<_>, Vec<_>) = join_all(each).await.into_iter().unzip();
    let mut found = found.concat();
    let is_old = |u: &Update| u.created_at.is_some() && !is_new(&u.created_at);
    found.retain(|u| !is_old(u));
    Reading::with_holes(Ok(found), gaps.concat())
}

async fn updates_of(client: &Client, cluster: &str, of: Updated) -> (Vec<Update>, Vec<Gap>) {
    let call = AwsCall::ListUpdates { cluster: cluster.to_owned(), of: of.clone() };
    let ids: Vec<String> = match list(client, call, "updateIds").await {
        Ok(ids) => ids,
        Err(gap) => return (Vec::new(), vec![gap]),
    };
    // The list says nothing of when they were: which are new is known once they are read.
    let left = ids.len().saturating_sub(MOST_READ);
    let details = ids.into_iter().take(MOST_READ).map(|id| {
        field::<Update>(client, AwsCall::DescribeUpdate { cluster: cluster.to_owned(), of: of.clone(), id }, "update")
    });
    let mut read = (Vec::new(), Vec::new());
    if left > 0 {
        let (Updated::Addon(name) | Updated::Nodegroup(name)) = &of;
        let text = format!("{left} updates of {name} were not read, and the list does not say which are the newest");
        read.1.push(Gap::new("eks:DescribeUpdate", GapCause::NotCollected, text));
    }
    for answer in join_all(details).await {
        match answer {
            Ok(update) => read.0.push(Update { of: Some(of.clone()), ..update }),
            Err(error) => read.1.push(error.into_gap("eks:DescribeUpdate")),
        }
    }
    read
}

async fn associations(client: &Client, cluster: &str) -> Reading<Vec<PodIdentityAssociation>> {
    let name = cluster.to_owned();
    let listed = list(client, AwsCall::ListPodIdentityAssociations { cluster: name.clone() }, "associations").await;
    let mut found: Vec<PodIdentityAssociation> = match listed {
        Ok(found) => found,
        Err(gap) => return Err(gap).into(),
    };
    let mut gaps = Vec::new();
    // The list lacks the role. Only the CSI controller's is read.
    for association in found.iter_mut().filter(|a| a.namespace == "kube-system") {
        let call =
            AwsCall::DescribePodIdentityAssociation { cluster: name.clone(), id: association.association_id.clone() };
        match field::<PodIdentityAssociation>(client, call, "association").await {
            Ok(detail) => association.role_arn = detail.role_arn,
            Err(error) => gaps.push(error.into_gap("eks:DescribePodIdentityAssociation")),
        }
    }
    Reading::with_holes(Ok(found), gaps)
}

async fn providers(client: &Client) -> Reading<Vec<OidcProvider>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Listed {
        arn: String,
    }
    let call_ = AwsCall::ListOpenIdConnectProviders;
    let listed: Vec<Listed> = match list(client, call_, "OpenIDConnectProviderList").await {
        Ok(listed) => listed,
        Err(gap) => return Err(gap).into(),
    };
    let details = listed.into_iter().map(|l| async move {
        let url = l.arn.split_once("oidc-provider/").map(|(_, url)| url.to_owned()).unwrap_or_default();
        let call_ = AwsCall::GetOpenIdConnectProvider { arn: l.arn.clone() };
        // The ARN alone says which issuer it is for; which audiences it has is not known then.
        match call::<OidcProvider>(client, call_).await {
            Ok(read) => (OidcProvider { arn: l.arn, ..read }, None),
            Err(error) => {
                let gap = error.into_gap("iam:GetOpenIDConnectProvider");
                (OidcProvider { arn: l.arn, url, ..Default::default() }, Some(gap))
            }
        }
    });
    let (found, gaps): (Vec<_>, Vec<_>) = join_all(details).await.into_iter().unzip();
    Reading::with_holes(Ok(found), gaps.into_iter().flatten().collect())
}

async fn vpc_facts(client: &Client, plan: &Plan, cluster: &Fetched<Cluster>) -> Facts {
    let place = || Err(not_collected(Fact::EksCluster));
    let vpc = match cluster {
        Ok(cluster) if !cluster.resources_vpc_config.vpc_id.is_empty() => cluster.resources_vpc_config.vpc_id.clone(),
        Ok(_) => {
            let gap = Gap::new("eks:DescribeCluster", GapCause::BadAnswer, "the answer names no VPC");
            return Facts::missing(place(), &gap, plan);
        }
        Err(gap) => return Facts::missing(place(), gap, plan),
    };
    let id = || vpc.clone();
    macro_rules! fact {
        ($fact:ident, $call:ident, $field:expr, $item:ty) => {
            async {
                if plan.wants(Fact::$fact) {
                    // A bundle may hold the lists of a whole account.
                    let all: Vec<$item> = list(client, AwsCall::$call { vpc: id() }, $field).await?;
                    Ok(all.into_iter().filter(|i| i.is_in(&vpc)).collect())
                } else {
                    Err(not_collected(Fact::$fact))
                }
            }
        };
    }
    let groups_of_vpc = async {
        if !plan.wants(Fact::TargetGroups) {
            return Err(not_collected(Fact::TargetGroups)).into();
        }
        target_groups(client, &vpc).await
    };
    let balancers = async {
        if !plan.wants(Fact::LoadBalancers) {
            return Err(not_collected(Fact::LoadBalancers));
        }
        let all: Vec<LoadBalancer> = list(client, AwsCall::DescribeLoadBalancers, "LoadBalancers").await?;
        Ok(all.into_iter().filter(|b| b.vpc_id == vpc).collect())
    };
    let (subnets, tables, nats, igws, acls, groups, instances, endpoints, vpcs, balancers, target_groups) = futures::join!(
        fact!(Subnets, DescribeSubnets, "Subnets", Subnet),
        fact!(RouteTables, DescribeRouteTables, "RouteTables", RouteTable),
        fact!(NatGateways, DescribeNatGateways, "NatGateways", NatGateway),
        fact!(InternetGateways, DescribeInternetGateways, "InternetGateways", InternetGateway),
        fact!(NetworkAcls, DescribeNetworkAcls, "NetworkAcls", NetworkAcl),
        fact!(SecurityGroups, DescribeSecurityGroups, "SecurityGroups", SecurityGroup),
        instances(client, plan, &vpc),
        fact!(VpcEndpoints, DescribeVpcEndpoints, "VpcEndpoints", VpcEndpoint),
        fact!(Vpcs, DescribeVpcs, "Vpcs", Vpc),
        balancers,
        groups_of_vpc,
    );
    Facts {
        subnets,
        route_tables: tables,
        nat_gateways: nats,
        internet_gateways: igws,
        network_acls: acls,
        security_groups: groups,
        instances,
        vpc_endpoints: endpoints,
        vpcs,
        load_balancers: balancers,
        target_groups,
        ..Facts::missing(place(), &not_collected(Fact::EksCluster), plan)
    }
}

async fn instances(client: &Client, plan: &Plan, vpc: &str) -> Fetched<Vec<Instance>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Reservation {
        instances: Vec<Instance>,
    }
    if !plan.wants(Fact::Instances) {
        return Err(not_collected(Fact::Instances));
    }
    let call = AwsCall::DescribeInstances { vpc: vpc.to_owned() };
    let reservations: Vec<Reservation> = list(client, call, "Reservations").await?;
    Ok(reservations.into_iter().flat_map(|r| r.instances).filter(|i| i.vpc_id.as_deref() == Some(vpc)).collect())
}

trait InVpc {
    fn is_in(&self, vpc: &str) -> bool;
}

macro_rules! in_vpc {
    ($($kind:ident),*) => { $(impl InVpc for $kind { fn is_in(&self, vpc: &str) -> bool { self.vpc_id == vpc } })* };
}
in_vpc!(Vpc, Subnet, RouteTable, NatGateway, NetworkAcl, SecurityGroup, VpcEndpoint);

impl InVpc for InternetGateway {
    fn is_in(&self, vpc: &str) -> bool {
        self.attachments.iter().any(|a| a.vpc_id == vpc)
    }
}

/// Reads the roles that the EBS CSI driver and the ServiceAccounts in scope may run with.
pub(super) async fn roles(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    if !plan.wants(Fact::IamRoles) {
        return;
    }
    // Without the cluster nothing of AWS could be asked.
    if let Err(gap) = snap.eks_cluster() {
        *snap.iam_roles = Err(gap);
        return;
    }
    let own = snap.target.account.clone();
    let nobody = snap.caller_identity.as_ref().err().filter(|g| !g.is_not_collected()).cloned();
    let arns = role_arns(snap);
    let reads = arns.into_iter().map(|arn| {
        let (own, nobody) = (own.clone(), nobody.clone());
        async move {
            let (role, mut gaps) = match (read_role(client, &arn, own.as_deref()).await, nobody) {
                // Of another account it would look absent, too.
                (Ok((None, _)), Some(gap)) => (Err(gap), Vec::new()),
                (Ok((role, gaps)), _) => (Ok(role), gaps),
                (Err(gap), _) => (Err(gap), Vec::new()),
            };
            gaps.extend(role.as_ref().err().cloned());
            ((arn, role), gaps)
        }
    });
    let (roles, gaps): (BTreeMap<_, _>, Vec<_>) = join_all(reads).await.into_iter().unzip();
    snap.iam_roles = Reading::with_holes(Ok(roles), gaps.into_iter().flatten().collect());
}

/// The driver's own roles and those that files name, then those of the nodes and of other ServiceAccounts as far as the
/// limit goes.
fn role_arns(snap: &Snapshot) -> BTreeSet<String> {
    let accounts = snap.service_accounts.items().unwrap_or_default().iter();
    let annotated = accounts
        .filter(|a| a.metadata.namespace == "kube-system" && a.metadata.name.contains("ebs-csi"))
        .filter_map(|a| a.role_arn().map(str::to_owned));
    let addons = snap.eks_addons.iter().flatten();
    let of_addons =
        addons.filter(|a| a.addon_name == "aws-ebs-csi-driver").filter_map(|a| a.service_account_role_arn.clone());
    let associations = snap.pod_identity_associations.iter().flatten();
    let of_identity = associations.filter_map(|a| a.role_arn.clone());
    let of_nodes = snap.eks_nodegroups.iter().flatten().map(|n| n.node_role.clone());
    let others = snap.service_accounts.items().unwrap_or_default().iter().filter_map(|a| a.role_arn());
    let of_files = roles::of(snap).into_iter().map(|asked| asked.arn.to_owned());
    let all = annotated.chain(of_addons).chain(of_files).chain(of_identity).chain(of_nodes);
    let all = all.chain(others.map(str::to_owned));
    let mut arns = BTreeSet::new();
    for arn in all.filter(|a| a.contains(":role/")) {
        if arns.len() < MAX_ROLES {
            arns.insert(arn);
        }
    }
    arns
}

/// A role, if it exists, and what of it could not be read.
async fn read_role(client: &Client, arn: &str, own_account: Option<&str>) -> Fetched<(Option<Role>, Vec<Gap>)> {
    let account = arn.split(':').nth(4);
    if let (Some(own), Some(account)) = (own_account, account)
        && own != account
    {
        // Seen from here it would look absent: IAM answers for the caller's account only.
        let message = format!("role {arn} belongs to another account than the credentials ({own})");
        return Err(Gap::new("iam:GetRole", GapCause::NotConfigured, message));
    }
    let name = arn.rsplit('/').next().unwrap_or(arn).to_owned();
    let role: Value = match field(client, AwsCall::GetRole { name: name.clone() }, "Role").await {
        Ok(role) => role,
        Err(FetchError::NotFound(_)) => return Ok((None, Vec::new())),
        Err(error) => return Err(error.into_gap("iam:GetRole")),
    };
    let trust_policy = role.get("AssumeRolePolicyDocument").filter(|d| d.is_object()).cloned();
    let trust_policy = trust_policy.ok_or_else(|| {
        Gap::new("iam:GetRole", GapCause::BadAnswer, format!("the answer for {arn} has no trust policy"))
    })?;
    let (attached, inline) = futures::join!(attached_policies(client, &name), inline_policies(client, &name));
    let boundary = role.pointer("/PermissionsBoundary/PermissionsBoundaryArn").and_then(Value::as_str);
    let to_read = attached.iter().flatten().map(String::as_str).chain(boundary).filter(|a| !is_aws_managed(a));
    let mut managed_documents = BTreeMap::new();
    let mut gaps: Vec<Gap> = [attached.as_ref().err(), inline.as_ref().err()].into_iter().flatten().cloned().collect();
    for document in join_all(to_read.map(|a| managed_document(client, a))).await {
        match document {
            Ok((arn, text)) => {
                managed_documents.insert(arn, text);
            }
            Err(gap) => gaps.push(gap),
        }
    }
    let role = Role {
        name,
        arn: arn.to_owned(),
        trust_policy,
        attached_policies: attached.ok(),
        inline_policies: inline.ok(),
        permissions_boundary: boundary.map(str::to_owned),
        managed_documents,
    };
    Ok((Some(role), gaps))
}

fn is_aws_managed(policy_arn: &str) -> bool {
    policy_arn.split(':').nth(4) == Some("aws")
}

async fn attached_policies(client: &Client, role: &str) -> Fetched<Vec<String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Attached {
        policy_arn: String,
    }
    let call = AwsCall::ListAttachedRolePolicies { role: role.to_owned() };
    let found: Vec<Attached> = list(client, call, "AttachedPolicies").await?;
    Ok(found.into_iter().map(|a| a.policy_arn).collect())
}

async fn inline_policies(client: &Client, role: &str) -> Fetched<BTreeMap<String, Value>> {
    let names: Vec<String> = list(client, AwsCall::ListRolePolicies { role: role.to_owned() }, "PolicyNames").await?;
    let reads = names.into_iter().map(|policy| async move {
        let call = AwsCall::GetRolePolicy { role: role.to_owned(), policy: policy.clone() };
        let document = field::<Value>(client, call, "PolicyDocument").await;
        match document.map_err(|e| e.into_gap("iam:GetRolePolicy"))? {
            document if document.is_object() => Ok((policy, document)),
            _ => Err(Gap::new("iam:GetRolePolicy", GapCause::BadAnswer, format!("policy {policy} is no document"))),
        }
    });
    join_all(reads).await.into_iter().collect()
}

async fn managed_document(client: &Client, arn: &str) -> Fetched<(String, Value)> {
    let lacks =
        |what: &str, field: &str| Gap::new(what, GapCause::BadAnswer, format!("the answer for {arn} has no {field}"));
    let policy: Value = field(client, AwsCall::GetPolicy { arn: arn.to_owned() }, "Policy")
        .await
        .map_err(|e| e.into_gap("iam:GetPolicy"))?;
    let version = policy.get("DefaultVersionId").and_then(Value::as_str);
    let version = version.ok_or_else(|| lacks("iam:GetPolicy", "DefaultVersionId"))?.to_owned();
    let call = AwsCall::GetPolicyVersion { arn: arn.to_owned(), version };
    let version: Value = field(client, call, "PolicyVersion").await.map_err(|e| e.into_gap("iam:GetPolicyVersion"))?;
    let document =
        version.get("Document").filter(|d| d.is_object()).ok_or_else(|| lacks("iam:GetPolicyVersion", "Document"))?;
    Ok((arn.to_owned(), document.clone()))
}
