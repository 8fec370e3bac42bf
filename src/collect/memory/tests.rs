use serde_json::{Value, json};

use super::*;
use crate::collect::source::Known;
use crate::model::{Gap, GapCause, Silent};

/// A cluster with one list, whose changes it tells, and an account of AWS.
#[derive(Default)]
struct Fake {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What was asked, in its order.
    asked: Vec<String>,
    pods: Vec<&'static str>,
    version: u32,
    events: String,
    refusal: Option<FetchError>,
}

impl Fake {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }

    /// What was asked since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }

    /// A pod appears.
    fn adds(&self, name: &'static str) {
        let mut state = self.state();
        state.version += 1;
        state.pods.push(name);
        let object = json!({"metadata": {"name": name, "resourceVersion": state.version.to_string()}});
        state.events = json!({"type": "ADDED", "object": object}).to_string();
    }
}

#[async_trait]
impl Source for Fake {
    async fn fetch(&self, request: &Request) -> Result<Vec<u8>, FetchError> {
        let mut state = self.state();
        let Request::Kubernetes { query, .. } = request else {
            state.asked.push("aws".into());
            return Ok(state.asked.len().to_string().into_bytes());
        };
        let is_watch = query.contains("watch=1");
        state.asked.push(if is_watch { "changes" } else { "list" }.into());
        if is_watch {
            let events = std::mem::take(&mut state.events);
            return state.refusal.clone().map_or(Ok(events.into_bytes()), Err);
        }
        // Two pages.
        let (from, next) = if query.contains("continue") { (1, "") } else { (0, "more") };
        let all: Vec<Value> = state.pods.iter().map(|name| json!({"metadata": {"name": name}})).collect();
        let items = if from == 0 { &all[..1] } else { &all[1..] };
        let metadata = json!({"resourceVersion": state.version.to_string(), "continue": next});
        Ok(json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items})
            .to_string()
            .into_bytes())
    }

    fn deadline(&self) -> Duration {
        Duration::from_secs(10)
    }

    fn known(&self) -> Known {
        Known::default()
    }
}

/// A look: the names of the pods, in the order that they are read in.
async fn look(fake: &Arc<Fake>, memory: &Arc<Memory>) -> Vec<String> {
    let source: Arc<dyn Source> = Arc::<Fake>::clone(fake);
    let look = Remembering::begin(source, Arc::clone(memory), &Silent).await;
    let mut names = Vec::new();
    let mut query = "limit=500".to_owned();
    loop {
        let request = Request::Kubernetes { path: "/api/v1/pods".into(), query, metadata_only: false };
        let answer = look.fetch(&request).await.expect("an answer");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        let items = answer["items"].as_array().expect("a list").iter();
        names.extend(items.map(|pod| pod["metadata"]["name"].as_str().expect("a name").to_owned()));
        match answer["metadata"]["continue"].as_str().filter(|next| !next.is_empty()) {
            Some(next) => query = format!("limit=500&continue={next}"),
            None => return names,
        }
    }
}

fn begun() -> (Arc<Fake>, Arc<Memory>) {
    let fake = Fake::default();
    fake.adds("a");
    fake.adds("b");
    fake.state().events.clear();
    (Arc::new(fake), Arc::new(Memory::new(Duration::from_secs(60))))
}

#[tokio::test]
async fn a_list_is_read_once_and_then_only_what_changed() {
    let (fake, memory) = begun();
    assert_eq!(look(&fake, &memory).await, ["a", "b"]);
    assert_eq!(fake.asked(), ["list", "list"]);
    fake.adds("c");
    assert_eq!(look(&fake, &memory).await, ["a", "b", "c"]);
    assert_eq!(look(&fake, &memory).await, ["a", "b", "c"]);
    assert_eq!(fake.asked(), ["changes", "changes"]);
}

#[tokio::test]
async fn what_the_server_cannot_tell_is_read_again() {
    let gone = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"metadata":{}}}"#;
    let refused = GapCause::Forbidden { permission: "watch pods".into() };
    for (events, refusal, then) in [
        (gone, None, "changes"),
        ("<html>", None, "changes"),
        ("", Some(FetchError::Expired("too old".into())), "changes"),
        // Nobody asks again and again for what is refused.
        ("", Some(FetchError::Gap(Gap::new("x", refused, "no"))), "list"),
    ] {
        let (fake, memory) = begun();
        look(&fake, &memory).await;
        fake.adds("c");
        fake.state().events = events.to_owned();
        fake.state().refusal = refusal.clone();
        fake.asked();
        assert_eq!(look(&fake, &memory).await, ["a", "b", "c"], "{events} {refusal:?}");
        assert_eq!(fake.asked(), ["changes", "list", "list"], "{events} {refusal:?}");
        fake.state().refusal = None;
        look(&fake, &memory).await;
        assert_eq!(fake.asked()[0], then, "{events} {refusal:?}");
    }
}

#[tokio::test]
async fn a_server_that_was_down_is_asked_for_what_changed_meanwhile() {
    let (fake, memory) = begun();
    look(&fake, &memory).await;
    fake.state().refusal = Some(FetchError::Gap(Gap::new("x", GapCause::Unreachable, "refused")));
    // Such a look asks for no list.
    Remembering::begin(Arc::<Fake>::clone(&fake), Arc::clone(&memory), &Silent).await;
    fake.state().refusal = None;
    fake.adds("c");
    fake.asked();
    assert_eq!(look(&fake, &memory).await, ["a", "b", "c"]);
    assert_eq!(fake.asked(), ["changes"]);
}

#[tokio::test]
async fn aws_is_asked_once_in_a_while_and_its_age_is_known() {
    let (fake, memory) = begun();
    assert_eq!(memory.aws_age(), None);
    let mut said = Vec::new();
    for _ in 0..2 {
        let look = Remembering::begin(Arc::<Fake>::clone(&fake), Arc::clone(&memory), &Silent).await;
        said.push(look.fetch(&Request::Aws(AwsCall::GetCallerIdentity)).await.expect("an answer"));
    }
    assert_eq!((said[0] == said[1], fake.asked().len()), (true, 1));
    assert!(memory.aws_age().is_some());
    memory.forget_aws();
    let look = Remembering::begin(Arc::<Fake>::clone(&fake), Arc::clone(&memory), &Silent).await;
    look.fetch(&Request::Aws(AwsCall::GetCallerIdentity)).await.expect("an answer");
    assert_eq!(fake.asked().len(), 1, "after something was done there it is asked again");
    let forgetful = Memory::new(Duration::ZERO);
    forgetful.keep("a".into(), b"b");
    assert_eq!(forgetful.recall("a"), None);
}
