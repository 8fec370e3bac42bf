//! What keeps a load balancer from being made: the words of the AWS Load Balancer Controller and of the cloud provider.

use crate::domain::aws::routing::Network;
use crate::domain::kubernetes::webhook_call;
use crate::domain::text::api_host::{ApiHost, Lost};
use crate::snapshot::Snapshot;
use crate::snapshot::aws::Subnet;
use crate::text::pattern::pattern;

/// Subnets of load balancers that the internet reaches carry this tag.
pub(crate) const PUBLIC_TAG: &str = "kubernetes.io/role/elb";
/// Subnets of internal load balancers carry this one.
pub(crate) const INTERNAL_TAG: &str = "kubernetes.io/role/internal-elb";
/// Addresses that a load balancer wants to be free in each of its subnets.
pub(crate) const FREE_ADDRESSES: u32 = 8;

/// Why the controller does not make it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    /// No subnets carry the tags, or too few of them, or none has room.
    Subnets,
    /// These subnets have fewer than eight free addresses.
    SubnetFull(Vec<String>),
    /// No certificate of ACM is for this host.
    NoCertificate(String),
    /// The certificate that is named is absent, of another region, or of no use.
    Certificate(String),
    /// Ingresses of one group contradict each other: in what.
    Group(String),
    /// AWS denies a call.
    Denied,
    /// The controller has no credentials.
    Credentials,
    /// The Service, or a port of it, does not exist.
    Backend,
    /// Targets are instances, and the Service has no node port.
    NodePort,
    /// The addresses of its targets are none of the VPC: pods of an overlay.
    OutsideVpc,
    /// The class does not exist.
    Class,
    /// A network interface has several security groups with the cluster's tag, or none: which groups.
    SecurityGroups(Vec<String>),
    /// A load balancer or a target group of this name exists, and is not the controller's own.
    NameTaken(Taken, String),
    /// Security groups that it names are not found: which.
    NoSuchGroups(Vec<String>),
    /// The Service asks for an address, and the cloud provider's load balancer takes none.
    Address,
    /// A webhook that is asked about what the controller writes cannot be called: its name.
    Webhook(String),
    /// An API of AWS is not asked: which, and why.
    Unreached(ApiHost, Lost),
    /// A limit of the account.
    Quota,
    /// The limit of rules of a security group.
    Rules,
    /// Something else.
    Other,
}

/// What has the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Taken {
    Balancer,
    TargetGroup,
}

impl Refusal {
    /// Reads an event's or a log's message.
    pub(crate) fn classify(message: &str) -> Self {
        let has = |parts: &[&str]| parts.iter().any(|p| message.contains(p));
        if has(&["Not enough IP space available in subnet"]) {
            return Self::SubnetFull(ids(message, "subnet-"));
        }
        if let Some(call) = webhook_call::read(message) {
            return Self::Webhook(call.webhook);
        }
        // Credentials come from STS: who does not reach that has none. Who answers in its place is told.
        let told = |(api, lost): &(ApiHost, Lost)| api.service != "sts" || lost.is_stranger();
        if let Some((api, lost)) = ApiHost::lost(message).filter(told) {
            return Self::Unreached(api, lost);
        }
        if has(&["AssumeRoleWithWebIdentity", "WebIdentityErr", "NoCredentialProviders", "no EC2 IMDS role found"])
            || has(&["failed to refresh cached credentials", "failed to retrieve credentials", "InvalidIdentityToken"])
        {
            return Self::Credentials;
        }
        if has(&["UnauthorizedOperation", "AccessDenied", "is not authorized to perform"]) {
            return Self::Denied;
        }
        if has(&["securityGroup tagged with", "Multiple tagged security groups found"]) {
            return Self::SecurityGroups(ids(message, "sg-"));
        }
        if has(&["Availability Zone"]) && has(&["not in the VPC", "outside of the VPC", "not within the VPC"]) {
            return Self::OutsideVpc;
        }
        if let Some((_, host)) = message.split_once("no certificate found for host: ") {
            return Self::NoCertificate(host.split([' ', ',', '"']).next().unwrap_or_default().to_owned());
        }
        if has(&["CertificateNotFound", "UnsupportedCertificate"]) || (has(&["ertificate ARN"]) && has(&["not valid"]))
        {
            return Self::Certificate(certificate(message));
        }
        if has(&["auto-discover subnets", "at least one subnet", "at least two subnets", "suitable subnets"])
            || has(&["at least one matching subnet", "subnet count less than minimal", "multiple subnets in same"])
        {
            return Self::Subnets;
        }
        if let Some((_, what)) = message.split_once("conflicting ") {
            let what = what.lines().next().unwrap_or_default();
            return Self::Group(what.to_owned());
        }
        let taken = pattern!(r"A (load balancer|target group) with the same name '([^']+)' exists");
        if let Some(found) = taken.captures(message) {
            let what = if found[1].starts_with("load") { Taken::Balancer } else { Taken::TargetGroup };
            return Self::NameTaken(what, found[2].to_owned());
        }
        // The second is said of groups of another VPC, and of other faults, too.
        if has(&["couldn't find all securityGroups", "InvalidGroup.NotFound"])
            || has(&["InvalidSecurityGroup"]) && has(&["does not exist"])
        {
            return Self::NoSuchGroups(lacking(message));
        }
        if has(&["LoadBalancerIP cannot be specified"]) {
            return Self::Address;
        }
        if has(&["RulesPerSecurityGroupLimitExceeded"]) {
            return Self::Rules;
        }
        if has(&["must be of type 'NodePort' or 'LoadBalancer'", "TargetGroup port is empty"]) {
            return Self::NodePort;
        }
        if has(&["IngressClass.networking.k8s.io", "invalid ingress class"]) {
            return Self::Class;
        }
        if has(&["unable to find port", "Service \""]) && has(&["not found", "unable to find port"]) {
            return Self::Backend;
        }
        if has(&["TooManyLoadBalancers", "TooManyTargetGroups", "TooManyTargets", "TooManyUniqueTargetGroups"])
            || has(&[
                "TooManyListeners",
                "TooManyRules",
                "TooManyCertificates",
                "SecurityGroupLimitExceeded",
                "SecurityGroupsPerInterfaceLimitExceeded",
            ])
        {
            return Self::Quota;
        }
        Self::Other
    }
}

/// The network interface that a message speaks of.
pub(crate) fn interface(message: &str) -> Option<&str> {
    pattern!(r"\beni-[0-9a-f]{4,17}\b").find(message).map(|m| m.as_str())
}

/// All ids of a kind that a text names, each once.
fn ids(text: &str, prefix: &str) -> Vec<String> {
    let id = pattern!(r"\b(?:subnet|sg)-[0-9a-f]{8,17}\b");
    let mut found: Vec<String> =
        id.find_iter(text).map(|m| m.as_str().to_owned()).filter(|m| m.starts_with(prefix)).collect();
    found.sort();
    found.dedup();
    found
}

/// `nameOrIDs: [a b], found: [sg-1]`: names and ids that were asked for, less those that were found. `found` holds ids alone, so of
/// names nobody knows which of several is lacking.
fn lacking(text: &str) -> Vec<String> {
    let list = |key: &str| -> Vec<String> {
        let rest = text.split_once(key).and_then(|(_, rest)| rest.split_once('[')?.1.split_once(']'));
        rest.map(|(list, _)| list.split([' ', ',']).filter(|n| !n.is_empty()).map(str::to_owned).collect())
            .unwrap_or_default()
    };
    let (asked, found) = (list("nameOrIDs"), list("found"));
    if asked.is_empty() {
        return ids(text, "sg-");
    }
    asked.into_iter().filter(|name| !found.contains(name)).collect()
}

fn certificate(text: &str) -> String {
    let arn = pattern!(r"arn:[\w-]+:(?:acm|iam):[\w:/.-]+");
    arn.find(text).map(|m| m.as_str().to_owned()).unwrap_or_default()
}

/// The subnets of a VPC as a load balancer sees them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subnets<'a> {
    /// Those that carry the tag.
    pub(crate) tagged: Vec<&'a Subnet>,
    /// Those that could: public ones for the internet, the others for internal load balancers; one of each zone.
    pub(crate) fit: Vec<&'a Subnet>,
}

/// The subnets that a load balancer could use; `None` where the VPC could not be read.
pub(crate) fn subnets<'a>(snap: &'a Snapshot, internal: bool) -> Option<Subnets<'a>> {
    let cluster = snap.eks_cluster().ok()?;
    let net = Network {
        vpc: &cluster.resources_vpc_config.vpc_id,
        account: cluster.account(),
        tables: snap.route_tables().ok()?,
        nats: snap.nat_gateways.as_deref().unwrap_or_default(),
        gateways: snap.internet_gateways().ok()?,
    };
    let tag = if internal { INTERNAL_TAG } else { PUBLIC_TAG };
    let has_tag = |s: &&Subnet| s.tags.iter().any(|t| t.key == tag && matches!(t.value.as_str(), "" | "1"));
    let roomy = |s: &&Subnet| s.available_ip_address_count.is_none_or(|n| n >= FREE_ADDRESSES);
    let all = snap.subnets().ok()?;
    let mut fit: Vec<&Subnet> = Vec::new();
    for subnet in all.iter().filter(|s| net.is_public(&s.subnet_id) != internal).filter(roomy) {
        if !fit.iter().any(|f| f.availability_zone == subnet.availability_zone) {
            fit.push(subnet);
        }
    }
    Some(Subnets { tagged: all.iter().filter(has_tag).collect(), fit })
}

/// Why a target is not healthy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum TargetCause {
    /// It answers with another status than is asked for: which ones.
    Codes(String),
    /// It does not answer in time.
    Timeout,
    /// It refuses or ends the connection.
    Failed,
}

impl TargetCause {
    /// By AWS' reason code and description; `None` for what is on its way or no fault.
    pub(crate) fn of(reason: &str, description: &str) -> Option<Self> {
        match reason {
            "Target.ResponseCodeMismatch" => {
                let codes = description.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|(c, _)| c);
                Some(Self::Codes(codes.unwrap_or_default().to_owned()))
            }
            "Target.Timeout" => Some(Self::Timeout),
            "Target.FailedHealthChecks" => Some(Self::Failed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controllers_words() {
        let sg = |id: &str| Refusal::SecurityGroups(vec![id.into(), "sg-0bbbbbbbbbbbbbbbb".into()]);
        for (text, wanted) in [
            (
                "Failed build model due to couldn't auto-discover subnets: unable to resolve at least one subnet (0 match VPC and tags: [kubernetes.io/role/elb])",
                Refusal::Subnets,
            ),
            (
                "Error syncing load balancer: failed to ensure load balancer: could not find any suitable subnets for creating the ELB",
                Refusal::Subnets,
            ),
            (
                "Failed build model due to ingress: monitoring/grafana: no certificate found for host: grafana.example.com",
                Refusal::NoCertificate("grafana.example.com".into()),
            ),
            (
                "Failed deploy model due to CertificateNotFound: Certificate 'arn:aws:acm:us-east-1:111122223333:certificate/ab-1' not found",
                Refusal::Certificate("arn:aws:acm:us-east-1:111122223333:certificate/ab-1".into()),
            ),
            (
                "Failed deploy model due to InvalidSubnet: Not enough IP space available in subnet-0123456789abcdef0. ELB requires at least 8 free IP addresses in each subnet.",
                Refusal::SubnetFull(vec!["subnet-0123456789abcdef0".into()]),
            ),
            (
                "Failed build model due to conflicting scheme: map[internal:{} internet-facing:{}]",
                Refusal::Group("scheme: map[internal:{} internet-facing:{}]".into()),
            ),
            (
                "Failed build model due to ingress: monitoring/grafana: TargetGroup port is empty. When using Instance targets, your service must be of type 'NodePort' or 'LoadBalancer'",
                Refusal::NodePort,
            ),
            (
                "Failed deploy model due to AccessDenied: User: arn:aws:sts::1:assumed-role/lbc/1 is not authorized to perform: elasticloadbalancing:AddTags",
                Refusal::Denied,
            ),
            (
                "WebIdentityErr: failed to retrieve credentials caused by: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity",
                Refusal::Credentials,
            ),
            (
                "expected exactly one securityGroup tagged with kubernetes.io/cluster/prod for eni eni-0123, got: [sg-0aaaaaaaaaaaaaaaa sg-0bbbbbbbbbbbbbbbb] (clusterName: prod)",
                sg("sg-0aaaaaaaaaaaaaaaa"),
            ),
            (
                "api error ValidationError: The Availability Zone is required for IP address '172.28.163.212' because it is not in the VPC",
                Refusal::OutsideVpc,
            ),
            (
                "ValidationError: When cross-zone load balancing is disabled on this target group, you must specify an Availability Zone for IP target '172.16.0.108' since it is outside of the VPC",
                Refusal::OutsideVpc,
            ),
            (
                "expected exactly one securityGroup tagged with kubernetes.io/cluster/prod for eni eni-0123, got: [] (clusterName: prod)",
                Refusal::SecurityGroups(Vec::new()),
            ),
            ("invalid ingress class: IngressClass.networking.k8s.io \"alb\" not found", Refusal::Class),
            (
                "Failed build model due to ingress: monitoring/grafana: unable to find port 3000 on service monitoring/grafana",
                Refusal::Backend,
            ),
            ("Failed build model due to ingress: monitoring/grafana: Service \"graphana\" not found", Refusal::Backend),
            (
                "Failed build model due to couldn't find all securityGroups, nameOrIDs: [internal_gateway_sg sg-0aaaaaaaaaaaaaaaa], found: [sg-0aaaaaaaaaaaaaaaa]",
                Refusal::NoSuchGroups(vec!["internal_gateway_sg".into()]),
            ),
            (
                "Failed deploy model due to InvalidSecurityGroup: The security group 'sg-005646f2913a5dbe4' does not exist",
                Refusal::NoSuchGroups(vec!["sg-005646f2913a5dbe4".into()]),
            ),
            (
                "Error syncing load balancer: failed to ensure load balancer: LoadBalancerIP cannot be specified for AWS ELB",
                Refusal::Address,
            ),
            (
                "Failed deploy model due to operation error EC2: AuthorizeSecurityGroupIngress, https response error StatusCode: 400, RequestID: x, api error RulesPerSecurityGroupLimitExceeded: The maximum number of rules per security group has been reached.",
                Refusal::Rules,
            ),
            ("Failed deploy model due to Throttling: Rate exceeded", Refusal::Other),
        ] {
            assert_eq!(Refusal::classify(text), wanted, "{text}");
        }
    }

    #[test]
    fn an_api_that_is_not_asked_is_told_apart_from_credentials() {
        let of = |text: &str| Refusal::classify(text);
        let waf = of(
            "Failed deploy model due to operation error WAFV2: GetWebACLForResource, https response error StatusCode: 0, RequestID: , request send failed, Post \"https://wafv2.eu-west-1.amazonaws.com/\": dial tcp 52.94.53.163:443: i/o timeout",
        );
        assert!(matches!(&waf, Refusal::Unreached(api, Lost::Silent) if api.service == "wafv2"), "{waf:?}");
        let sts = of(
            "failed to refresh cached credentials, failed to retrieve credentials, operation error STS: AssumeRoleWithWebIdentity, request send failed, Post \"https://sts.eu-west-1.amazonaws.com/\": dial tcp 1.2.3.4:443: i/o timeout",
        );
        assert_eq!(sts, Refusal::Credentials);
    }

    #[test]
    fn a_target_that_is_on_its_way_has_no_fault() {
        let of = TargetCause::of;
        let codes = "Health checks failed with these codes: [302]";
        assert_eq!(of("Target.ResponseCodeMismatch", codes), Some(TargetCause::Codes("302".into())));
        assert_eq!(of("Elb.RegistrationInProgress", ""), None);
    }
}
