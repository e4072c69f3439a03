// SPDX-License-Identifier: Apache-2.0
//! Every utility once, each under a path of its own: a plugin to read, and what the tests run in Envoy.

use shared::prelude::*;

plugin!(Utilities);

struct Utilities;

impl Plugin for Utilities {
    type Config = NoConfig;

    fn new(_: NoConfig) -> Result<Self, ConfigError> {
        Ok(Utilities)
    }

    async fn handle(&self, mut request: Request) -> Result<Response, Error> {
        match request.path().as_slice() {
            // The request's headers.
            b"/anything/copy-header" => {
                let value = request.header("x-in").unwrap_or_else(|| b"(none)".to_vec());
                request.add_header("x-out", value);
                let text = request.header_str("x-in").unwrap_or_else(|| "(no text)".to_string());
                request.add_header("x-text", text);
                Ok(request.pass())
            }
            b"/anything/edit-headers" => {
                request.add_header("x-added", "2");
                request.replace_header("x-replaced", "new");
                request.remove_header("x-removed");
                request.add_header("x-broken", "a\r\nx-injected: b");
                request.add_header("x broken", "c");
                Ok(request.pass())
            }
            b"/anything/replace-headers" => {
                let mut headers = request.headers();
                headers.retain(|(name, _)| name.starts_with(':') || name == "x-forwarded-proto");
                headers.push(("x-only".to_string(), b"left".to_vec()));
                request.replace_headers(&headers);
                Ok(request.pass())
            }
            b"/anything/describe" => {
                let parts = [
                    request.method(),
                    request.scheme(),
                    request.authority(),
                    request.path(),
                    request.query().unwrap_or_default(),
                    request.route_name(),
                    request.cluster_name(),
                    property(&["request", "protocol"]).unwrap_or_default(),
                ];
                Ok(Response::new(200).header("x-seconds", now().as_secs().to_string()).body(parts.join(&b' ')))
            }

            // The request's body.
            b"/anything/read-body" => {
                let body = request.body().await;
                match body.bytes().as_slice() {
                    b"stop" => Ok(Response::new(403).body("the body says stop\n")),
                    _ => Ok(body.pass()),
                }
            }
            b"/anything/edit-body" => {
                let mut body = request.body_mut().await;
                let upper_case = body.bytes().to_ascii_uppercase();
                body.replace(upper_case);
                body.prepend("<");
                body.append(">");
                Ok(body.pass())
            }

            // The response.
            b"/anything/edit-response-headers" => {
                let mut response = request.send().await;
                let status = response.status().to_string();
                response.add_header("x-status", status);
                response.replace_header("content-type", "text/x-replaced");
                response.remove_header("access-control-allow-origin");
                Ok(response.pass())
            }
            b"/anything/replace-response-headers" => {
                let mut response = request.send().await;
                let mut headers = response.headers();
                headers.retain(|(name, _)| name.starts_with(':') || name == "content-length");
                headers.push(("x-only".to_string(), b"left".to_vec()));
                response.replace_headers(&headers);
                Ok(response.pass())
            }
            b"/anything/edit-response-body" => {
                let mut body = request.send().await.body_mut().await;
                let length = body.bytes().len().to_string();
                body.replace(length);
                body.prepend("<");
                body.append(">");
                Ok(body.pass())
            }
            b"/anything/read-both-bodies" => {
                let request = request.body().await;
                let sent = request.bytes();
                let response = request.send().await.body().await;
                log::info!("{} bytes sent, {} bytes received", sent.len(), response.bytes().len());
                Ok(response.pass())
            }
            b"/anything/replace-response" => {
                let response = request.send().await;
                Ok(Response::new(418).body(format!("instead of {}\n", response.status())))
            }

            // What goes wrong.
            b"/anything/fail" => Err(Error::new("failed on the way there")),
            b"/anything/fail-after-body" => {
                let _ = request.body().await;
                Err(Error::new("failed on the body"))
            }
            b"/anything/fail-after-response" => {
                let _ = request.send().await;
                Err(Error::new("failed on the way back"))
            }
            b"/anything/fail-after-response-body" => {
                let _ = request.send().await.body().await;
                Err(Error::new("failed on the way back, too late"))
            }
            b"/anything/wait-for-nothing" => std::future::pending().await,
            #[expect(clippy::panic, reason = "to see what becomes of one")]
            b"/anything/panic" => panic!("on purpose"),
            _ => Ok(request.pass()),
        }
    }
}
