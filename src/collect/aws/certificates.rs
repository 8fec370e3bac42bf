//! Certificates that load balancers of the stack are to show.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::ask::field;
use crate::collect::Plan;
use crate::collect::client::Client;
use crate::collect::source::{AwsCall, FetchError};
use crate::domain::kubernetes::ingress;
use crate::model::Fact;
use crate::snapshot::aws::{Certificate, arn};
use crate::snapshot::{Fetched, Reading, Snapshot, not_collected};

/// Certificates that are read at most.
const MOST: usize = 20;

/// Reads the certificates of ACM that Ingresses and Services name.
pub(in crate::collect) async fn certificates(client: &Client, plan: &Plan, snap: &mut Snapshot) {
    if !plan.wants(Fact::AcmCertificates) {
        *snap.acm_certificates = Err(not_collected(Fact::AcmCertificates));
        return;
    }
    let all = ingress::certificates(snap);
    // Without the cluster nothing of AWS could be asked.
    if let (false, Err(gap)) = (all.is_empty(), snap.eks_cluster()) {
        *snap.acm_certificates = Err(gap);
        return;
    }
    let own = snap.target.account.clone();
    let region = snap.target.region.clone();
    // A certificate of another region is of no use to the load balancer, whatever it is; one of another account looks absent.
    let is_asked =
        |named: &&str| arn::region(named).map(str::to_owned) == region && arn::account(named).map(str::to_owned) == own;
    let named: BTreeSet<String> = all.into_iter().filter(is_asked).map(str::to_owned).take(MOST).collect();
    let reads = named.into_iter().map(|arn| async move {
        let call = AwsCall::DescribeCertificate { arn: arn.clone() };
        let read: Fetched<Option<Certificate>> = match field(client, call, "Certificate").await {
            Ok(certificate) => Ok(Some(certificate)),
            Err(FetchError::NotFound(_)) => Ok(None),
            Err(error) => Err(error.into_gap("acm:DescribeCertificate")),
        };
        (arn, read)
    });
    let found: BTreeMap<String, Fetched<Option<Certificate>>> = join_all(reads).await.into_iter().collect();
    let gaps = found.values().filter_map(|read| read.as_ref().err().cloned()).collect();
    snap.acm_certificates = Reading::with_holes(Ok(found), gaps);
}
