// SPDX-License-Identifier: Apache-2.0
//! Asks a service for a token and puts it on the request, which then passes. If the service refuses, or gives
//! no answer, the request is answered 500; if the gateway cannot even make the call, it passes without.

use std::num::NonZeroU32;
use std::time::Duration;

use shared::prelude::*;

plugin!(HttpCall);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    service_name: String,
    service_port: Option<u16>,
    request_path: HeaderValue,
    token_header: HeaderName,
    /// In milliseconds.
    timeout: Option<NonZeroU32>,
}

struct HttpCall {
    client: HttpClient,
    request_path: HeaderValue,
    token_header: HeaderName,
}

impl Plugin for HttpCall {
    type Config = Config;

    fn new(config: Config) -> Result<Self, ConfigError> {
        let cluster = Cluster::of_service(&config.service_name, config.service_port, None)?;
        let timeout = config.timeout.map(|ms| Duration::from_millis(ms.get().into()));
        let client = HttpClient::new(cluster).timeout(timeout.unwrap_or(HttpClient::DEFAULT_TIMEOUT));
        Ok(HttpCall { client, request_path: config.request_path, token_header: config.token_header })
    }

    async fn handle(&self, mut request: Request) -> Result<Response, Error> {
        let reply = match self.client.get(&self.request_path).send().await {
            Err(error @ (HttpError::NoSuchCluster | HttpError::NotSent)) => {
                log::error!("{error}");
                None
            }
            reply => Some(reply?),
        };
        if let Some(reply) = reply.as_ref().filter(|reply| reply.status != 200) {
            log::error!("http call failed, status: {}", reply.status);
            return Ok(failed());
        }
        // In no case does a token of the client's own making get through.
        match reply.as_ref().and_then(|reply| reply.header(&self.token_header)) {
            Some(token) => request.replace_header(&self.token_header, token),
            None => request.remove_header(&self.token_header),
        }
        Ok(request.pass())
    }

    fn on_error(&self, _: &Error) -> OnError {
        OnError::Answer(failed())
    }
}

fn failed() -> Response {
    Response::new(500).body("http call failed")
}
