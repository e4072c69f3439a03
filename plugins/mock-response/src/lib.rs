// SPDX-License-Identifier: Apache-2.0
//! Answers every request with fixed content, or, switched off, adds the header `hello: world` to the request
//! and passes it on. It has no backend that could be down.

use std::collections::BTreeMap;

use shared::prelude::*;

plugin!(MockResponse);

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct MockResponse {
    mock_enable: bool,
    status_code: StatusCode,
    headers: BTreeMap<HeaderName, HeaderValue>,
    content: String,
}

impl Default for MockResponse {
    fn default() -> Self {
        MockResponse {
            mock_enable: false,
            status_code: StatusCode::OK,
            headers: BTreeMap::new(),
            content: "hello world".into(),
        }
    }
}

impl Plugin for MockResponse {
    type Config = Self;

    fn new(config: Self) -> Result<Self, ConfigError> {
        Ok(config)
    }

    async fn handle(&self, mut request: Request) -> Result<Response, Error> {
        if !self.mock_enable {
            request.add_header("hello", "world");
            return Ok(request.pass());
        }
        let mut reply = Response::new(self.status_code.get());
        for (name, value) in &self.headers {
            reply = reply.header(name, value);
        }
        Ok(reply.body(&self.content))
    }
}
