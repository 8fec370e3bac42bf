//! One call of AWS, and the part of its answer that is wanted.

use futures::future::join_all;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::collect::client::Client;
use crate::collect::source::{AwsCall, FetchError, Request};
use crate::model::{Gap, GapCause};
use crate::snapshot::Fetched;

pub(super) async fn call<T: DeserializeOwned + Send + 'static>(
    client: &Client,
    call: AwsCall,
) -> Result<T, FetchError> {
    client.json(&Request::Aws(call)).await
}

/// One field of an answer.
pub(super) async fn field<T: DeserializeOwned + Send + 'static>(
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

pub(super) async fn list<T: DeserializeOwned + Send + 'static>(
    client: &Client,
    aws: AwsCall,
    name: &str,
) -> Fetched<Vec<T>> {
    let what = aws.iam_action();
    field(client, aws, name).await.map_err(|e| e.into_gap(&what))
}

/// All of a list's details, or the first gap: a list with holes would turn "not read" into "absent".
pub(super) async fn details<T, F: Future<Output = Result<T, FetchError>>>(
    what: &str,
    calls: Vec<F>,
) -> Fetched<Vec<T>> {
    join_all(calls).await.into_iter().collect::<Result<_, _>>().map_err(|e| e.into_gap(what))
}
