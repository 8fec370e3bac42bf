//! A URL: host → Service → pods → endpoints → policy → answer.

use super::build::{Builder, Claims, Seen, broken, idle, right, untold};
use super::words::few;
use super::{service, shown, target};
use crate::domain::grafana::url::offered;
use crate::domain::kubernetes::host::{Place, place};
use crate::domain::kubernetes::{proxy, service_port};
use crate::domain::prometheus::targets::{self, Address};
use crate::model::{Evidence, ResourceRef};
use crate::snapshot::Snapshot;
use crate::snapshot::kubernetes::{Meta, Pod, Service};

/// The chain of a URL; `None` where it is none.
pub(super) fn chain(b: &mut Builder<'_>, url: &str) -> Option<()> {
    let snap = b.snap;
    let address = Address::parse(url)?;
    if let Some(scraped) = scraped(snap, &address) {
        b.note(format!("job {} scrapes it", scraped.job()));
        target::of_target(b, scraped);
        return Some(());
    }
    let own = snap.scope.stack.first().map_or("", String::as_str);
    match place(snap, &address.host, own) {
        Place::Cluster(host) => in_cluster(b, &host.namespace, &host.service, &address),
        Place::Public => on_the_internet(b, &address),
        Place::Private if is_loopback(&address.host) => {
            b.link("host", Vec::new(), Claims::Of(&[]), || Ok(idle("it is the very pod or machine that asks")));
            unasked(b);
        }
        Place::Private => match snap.pod_by_ip(&address.host) {
            Some(pod) => of_pod(b, pod, &address),
            None => in_a_private_network(b, &address),
        },
    }
    Some(())
}

/// The target that is scraped there.
fn scraped<'a>(snap: &'a Snapshot, address: &Address) -> Option<&'a crate::snapshot::monitoring::ScrapeTarget> {
    let same = |other: &Address| {
        (&other.host, other.port, other.bare_path()) == (&address.host, address.port, address.bare_path())
    };
    targets::all(snap).iter().find(|t| Address::parse(&t.scrape_url).as_ref().is_some_and(same))
}

fn in_cluster(b: &mut Builder<'_>, namespace: &str, name: &str, address: &Address) {
    let snap = b.snap;
    let found = snap.services.find(namespace, name).ok().flatten();
    let about = vec![ResourceRef::service(namespace, name)];
    b.link("service", about, Claims::Of(&["target-service-missing"]), || {
        let meta = Meta { namespace: namespace.to_owned(), name: name.to_owned(), ..Meta::default() };
        let shown = shown::object("service", &meta);
        Ok(match snap.services.find(namespace, name)? {
            None => broken(format!("there is no Service {namespace}/{name}")).with(shown),
            Some(service) if is_offered(service, address.port) => {
                right(format!("{namespace}/{name}, port {}", address.port)).with(shown)
            }
            Some(service) => {
                let offers: Vec<String> = offered(service).iter().map(u16::to_string).collect();
                let offers = few(offers.iter().map(String::as_str), 5);
                broken(format!("{namespace}/{name} does not offer port {}; it offers {offers}", address.port))
                    .with(shown)
            }
        })
    });
    let Some(found) = found else { return };
    service::behind(b, found);
    service::policy(b, &snap.pods_of_service(found).collect::<Vec<&Pod>>(), false);
    let path = proxy::of_service(namespace, &address.scheme, name, address.port, &address.path);
    b.link("answer", Vec::new(), Claims::Of(&[]), || Ok(answer(snap, address, path)));
}

fn is_offered(service: &Service, port: u16) -> bool {
    service_port::is_headless(service)
        || service.spec.external_name.is_some()
        || service_port::find(service, port).is_some()
}

fn of_pod(b: &mut Builder<'_>, pod: &Pod, address: &Address) {
    let snap = b.snap;
    super::pod::chain(b, pod);
    service::policy(b, &[pod], false);
    let meta = &pod.metadata;
    let path = proxy::of_pod(&meta.namespace, &address.scheme, &meta.name, address.port, &address.path);
    b.link("answer", Vec::new(), Claims::Of(&[]), || Ok(answer(snap, address, path)));
}

/// Nobody asked it.
fn answer(_: &Snapshot, address: &Address, path: String) -> Seen {
    let shown = Evidence::new(address.path.clone(), "", "kubectl get --raw {{ path }}").with("path", path);
    untold("what it answers was not asked").with(shown)
}

fn is_loopback(host: &str) -> bool {
    let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

fn on_the_internet(b: &mut Builder<'_>, address: &Address) {
    let text = format!("{}: it lies on the internet", address.host);
    b.link("host", Vec::new(), Claims::Of(&[]), || Ok(idle(text)));
    let egress = b.verdict("nat-egress", "no way out of the cluster's subnets was found to be broken");
    b.link("egress", Vec::new(), Claims::Check(&["nat-egress"]), || egress);
    unasked(b);
}

fn in_a_private_network(b: &mut Builder<'_>, address: &Address) {
    let snap = b.snap;
    let text =
        format!("{}: it lies in a private network, and is neither a Service nor a pod of this cluster", address.host);
    b.link("host", Vec::new(), Claims::Of(&[]), || {
        snap.services()?;
        snap.pods()?;
        Ok(idle(text))
    });
    unasked(b);
}

/// No command asks it without starting a pod, and what shows a link changes nothing.
fn unasked(b: &mut Builder<'_>) {
    let text = "what it answers was not asked: only a pod of the cluster can ask it as the stack does";
    b.link("answer", Vec::new(), Claims::Of(&[]), || Ok(untold(text)));
}
