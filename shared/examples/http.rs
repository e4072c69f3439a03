// SPDX-License-Identifier: Apache-2.0
//! Calls to an HTTP service as the request describes them: a plugin to read, and what the tests run in Envoy.

use std::time::Duration;

use futures_lite::future;
use shared::HttpReply;
use shared::prelude::*;

plugin!(HttpCalls);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    service_name: String,
    /// In milliseconds.
    timeout: Option<u32>,
}

struct HttpCalls {
    client: HttpClient,
}

impl Plugin for HttpCalls {
    type Config = Config;

    fn new(config: Config) -> Result<Self, ConfigError> {
        let client = HttpClient::new(Cluster::of_service(&config.service_name, None, None)?);
        let client = match config.timeout {
            Some(timeout) => client.timeout(Duration::from_millis(timeout.into())),
            None => client,
        };
        Ok(HttpCalls { client })
    }

    async fn handle(&self, request: Request) -> Result<Response, Error> {
        match request.path().as_slice() {
            b"/call" => Ok(call(&self.client, &request).await.map_or_else(show_error, show)),
            b"/together" => {
                let calls = future::zip(self.client.get("/first").send(), self.client.get("/second").send());
                let (first, second) = calls.await;
                Ok(Response::new(200).body([first?.body, second?.body].join(&b' ')))
            }
            b"/given-up" => {
                let mut first = Box::pin(self.client.get("/first").send());
                let waits = future::poll_once(&mut first).await.is_none();
                drop(first);
                let second = self.client.get("/second").send().await?;
                Ok(Response::new(200).header("x-waited", waits.to_string()).body(second.body))
            }
            b"/one-after-another" => {
                let id = || request.header_str("x-id").unwrap_or_default();
                let first = self.client.get(&format!("/first/{}", id())).send().await?;
                let second = self.client.get(&format!("/second/{}", id())).send().await?;
                // What is read from the request after a reply belongs to the same request.
                Ok(Response::new(200).header("x-id", id()).body([first.body, second.body].join(&b' ')))
            }
            _ => Ok(request.pass()),
        }
    }
}

/// Makes the call that headers of the request describe; those that begin with `x-call-` go with it.
async fn call(client: &HttpClient, request: &Request) -> Result<HttpReply, HttpError> {
    let url = request.header("x-url").unwrap_or_default();
    let mut call = match request.header("x-method").unwrap_or_default().as_slice() {
        b"HEAD" => client.head(&url),
        b"OPTIONS" => client.options(&url),
        b"POST" => client.post(&url),
        b"PUT" => client.put(&url),
        b"PATCH" => client.patch(&url),
        b"DELETE" => client.delete(&url),
        b"CONNECT" => client.connect(&url),
        b"TRACE" => client.trace(&url),
        _ => client.get(&url),
    };
    let headers = request.headers();
    for (name, value) in headers.iter().filter(|(name, _)| name.starts_with("x-call-")) {
        call = call.header(name, value);
    }
    let body = request.header("x-body");
    if let Some(body) = &body {
        call = call.body(body);
    }
    call.send().await
}

/// A reply as an answer, its headers with `x-reply-` in front of their names.
fn show(reply: HttpReply) -> Response {
    let mut answer = Response::new(reply.status).header("x-answered", "yes");
    for (name, value) in &reply.headers {
        answer = answer.header(format!("x-reply-{name}"), value);
    }
    for (name, value) in &reply.trailers {
        answer = answer.header(format!("x-trailer-{name}"), value);
    }
    answer.body(reply.body)
}

fn show_error(error: HttpError) -> Response {
    Response::new(500).body(format!("{error:?}"))
}
