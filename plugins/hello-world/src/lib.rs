// SPDX-License-Identifier: Apache-2.0
//! Answers every request with 200 `hello world`; the upstream never sees one. It has no backend that could
//! be down.

use shared::prelude::*;

plugin!(HelloWorld);

struct HelloWorld;

impl Plugin for HelloWorld {
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, ConfigError> {
        Ok(HelloWorld)
    }

    async fn handle(&self, _: Request) -> Result<Response, Error> {
        Ok(Response::new(200).body("hello world"))
    }
}
