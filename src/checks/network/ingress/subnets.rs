//! No subnets for a load balancer: by their tags, their zones, or what the controller was started with.

use super::fix::Fix;
use super::object::Installed;
use super::told::Told;
use crate::domain::aws::balancer::{self, FREE_ADDRESSES, INTERNAL_TAG, PUBLIC_TAG, Refusal};
use crate::domain::aws::identity::Identity;
use crate::model::{Cause, Evidence};
use crate::snapshot::aws::Subnet;

impl Told<'_> {
    pub(super) fn subnets(&self) -> (Fix, String, Option<Cause>) {
        if let Some((given, own)) = self.wrong_vpc() {
            return self.other_vpc(&given, own);
        }
        if let Some((given, own)) = self.wrong_name() {
            return self.other_name(given, own, "it takes the subnets for another cluster's");
        }
        let internal = self.object.is_internal();
        let tag = if internal { INTERNAL_TAG } else { PUBLIC_TAG };
        let kind = if internal { "internal" } else { "internet-facing" };
        let known = balancer::subnets(self.snap, internal).unwrap_or_default();
        let zones = |all: &[&Subnet]| {
            let mut zones: Vec<&str> = all.iter().map(|s| s.availability_zone.as_str()).collect();
            zones.sort_unstable();
            zones.dedup();
            zones.len()
        };
        let why = match (self.object.annotated("subnets"), known.tagged.as_slice()) {
            (Some(named), _) => format!("the subnets that it names ({named}) are not two zones' of this VPC"),
            (None, []) => {
                format!("no subnet of the VPC carries the tag {tag}=1, by which an {kind} load balancer finds them")
            }
            (None, tagged) if zones(tagged) < 2 => {
                format!("the subnets with the tag {tag} lie in one zone only, and an {kind} load balancer wants two")
            }
            (None, tagged) => self.unfit(tagged, tag),
        };
        let missing = known.fit.iter().filter(|s| !known.tagged.iter().any(|t| t.subnet_id == s.subnet_id));
        let subnets: Vec<String> = missing.map(|s| s.subnet_id.clone()).collect();
        let fix =
            Fix::Subnets { of: self.object.common(), tag, subnets, annotation: self.object.annotation("subnets") };
        let about = format!("{why}: the stack's load balancers are not made");
        (fix, why, Some(Cause::keyed(format!("subnets {tag}"), about)))
    }

    pub(super) fn subnets_evidence(&self, refusal: &Refusal) -> Option<Evidence> {
        if !matches!(refusal, Refusal::Subnets | Refusal::SubnetFull(_)) {
            return None;
        }
        let all = self.snap.subnets().ok()?;
        let line = |s: &Subnet| {
            let tags: Vec<&str> =
                s.tags.iter().map(|t| t.key.as_str()).filter(|k| k.starts_with("kubernetes.io/")).collect();
            let free = s.available_ip_address_count.map_or_else(|| "?".to_owned(), |n| n.to_string());
            let tags = if tags.is_empty() { "no kubernetes.io tag".to_owned() } else { tags.join(", ") };
            format!("{} {}: {tags}; {free} free addresses", s.subnet_id, s.availability_zone)
        };
        let vpc = all.first().map(|s| s.vpc_id.clone()).unwrap_or_default();
        Some(
            Evidence::new(
                "ec2:DescribeSubnets, tags",
                all.iter().map(line).collect::<Vec<_>>().join("\n"),
                "aws ec2 describe-subnets --filters Name=vpc-id,Values={{ vpc }} --query 'Subnets[].[SubnetId,AvailabilityZone,Tags]'",
            )
            .with("vpc", vpc),
        )
    }

    /// Why subnets that carry the tag are not taken.
    fn unfit(&self, tagged: &[&Subnet], tag: &str) -> String {
        let own = Identity::of(self.snap).cluster.map(|c| format!("kubernetes.io/cluster/{c}"));
        let of_cluster = |s: &&Subnet| s.tags.iter().any(|t| t.key.starts_with("kubernetes.io/cluster/"));
        let of_own = |s: &&Subnet| s.tags.iter().any(|t| Some(&t.key) == own.as_ref());
        let full = |s: &&Subnet| s.available_ip_address_count.is_some_and(|n| n < FREE_ADDRESSES);
        if tagged.iter().all(|s| of_cluster(s) && !of_own(s)) {
            format!("the subnets with the tag {tag} are tagged for another cluster")
        } else if tagged.iter().all(full) {
            format!("the subnets with the tag {tag} have fewer than {FREE_ADDRESSES} free addresses")
        } else {
            format!("its controller takes none of the subnets with the tag {tag}")
        }
    }

    /// The VPC that the controller was given, and the cluster's, where that is another.
    pub(super) fn wrong_vpc(&self) -> Option<(String, String)> {
        let own = &self.snap.eks_cluster().ok()?.resources_vpc_config.vpc_id;
        let given = self.given("aws-vpc-id").filter(|g| !g.is_empty())?;
        (!own.is_empty() && given != own).then(|| (given.to_owned(), own.clone()))
    }

    /// It looks for subnets in a VPC that is not the cluster's.
    fn other_vpc(&self, given: &str, own: String) -> (Fix, String, Option<Cause>) {
        let why = format!(
            "its controller runs with --aws-vpc-id {given}, and the cluster lies in {own}: it looks for subnets in another VPC"
        );
        let about = format!(
            "the AWS Load Balancer Controller runs with --aws-vpc-id {given}, and the cluster lies in {own}: it finds no subnets"
        );
        let fix = Fix::Vpc { of: self.object.common(), by: Installed::found(self.snap), vpc: own };
        (fix, why, Some(Cause::keyed("vpc", about)))
    }
}
