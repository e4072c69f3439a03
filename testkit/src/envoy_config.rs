// SPDX-License-Identifier: Apache-2.0
//! Envoy's configuration around one plugin, with the names of routes and clusters that Higress would give them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::Result;
use serde_json::{Value, json};

use crate::Gateway;

/// The cluster that every route leads to, named like a static service in the Higress console.
pub const UPSTREAM: &str = "outbound|80||httpbin.static";
/// The route of every request whose path names no other.
pub const DEFAULT_ROUTE: &str = "default";
/// Room for requests that are large on purpose; Envoy takes 60 KiB and 100 headers unless told.
const MAX_HEADERS_KB: u32 = 256;
const MAX_HEADERS: u32 = 1000;

/// A host, by name or by IP address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The name or the IP address.
    pub host: String,
    /// The port; 0 in a listening address means any that is free.
    pub port: u16,
}

impl Address {
    /// A port of this machine, which others cannot reach.
    #[must_use]
    pub fn local(port: u16) -> Self {
        Self { host: "127.0.0.1".to_owned(), port }
    }

    fn render(&self) -> Value {
        json!({ "socket_address": { "address": self.host, "port_value": self.port } })
    }
}

/// What a cluster speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// The body of a request goes out as it is, and what comes back is the body of the response: how a plugin built
    /// for stock Envoy talks to Redis.
    RedisTcp,
}

/// A service that a plugin may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The name, `outbound|{port}|{version}|{host}` on Higress.
    pub name: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// Where it is.
    pub address: Address,
}

impl Cluster {
    fn render(&self) -> Value {
        let Self { name, protocol, address } = self;
        let kind = if address.host.parse::<IpAddr>().is_ok() { "STATIC" } else { "STRICT_DNS" };
        let cluster = json!({
            "name": name,
            "type": kind,
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address.render() } }] }],
            },
        });
        match protocol {
            Protocol::Http => cluster,
            Protocol::RedisTcp => with(
                // A call made in the callback that brings a reply would get that reply's connection, which both
                // sides have closed already, and fail.
                with(cluster, "typed_extension_protocol_options", one_request_per_connection()),
                "upstream_config",
                typed(
                    "envoy.filters.connection_pools.tcp.generic",
                    "envoy.extensions.upstreams.http.tcp.v3.TcpConnectionPoolProto",
                    json!({}),
                ),
            ),
        }
    }
}

fn one_request_per_connection() -> Value {
    json!({ "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "common_http_protocol_options": { "max_requests_per_connection": 1 },
        "explicit_http_config": { "http_protocol_options": {} },
    } })
}

/// The plugin in the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// The name, which Envoy puts in front of the plugin's log lines.
    pub name: String,
    /// Where the gateway finds the module.
    pub module: String,
    /// The gateway that the module is built for.
    pub gateway: Gateway,
    /// The configuration as the gateway hands it over. Empty text and `{}` reach the plugin as no configuration at
    /// all, as on Higress.
    pub config: String,
    /// Whether requests pass when the plugin has failed (`FAIL_OPEN`).
    pub fail_open: bool,
}

impl Plugin {
    fn render(&self) -> Value {
        let config = json!({
            "name": self.name,
            "root_id": self.name,
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": self.module } },
            },
        });
        let config = match self.gateway {
            // What Higress does under FAIL_CLOSE: 503, and the plugin is started again for a later request. Under
            // FAIL_OPEN it is started again on Higress only.
            Gateway::Envoy => {
                let policy = if self.fail_open { "FAIL_OPEN" } else { "FAIL_RELOAD" };
                with(config, "failure_policy", policy.into())
            }
            // `failure_policy` came with Envoy 1.33, and the Envoy in Higress was 1.27 for long. Both know this field.
            Gateway::Higress => with(config, "fail_open", self.fail_open.into()),
        };
        let config = match self.config.trim() {
            "" | "{}" => config,
            text => with(
                config,
                "configuration",
                json!({
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": text,
                }),
            ),
        };
        typed(&self.name, "envoy.extensions.filters.http.wasm.v3.Wasm", json!({ "config": config }))
    }

    /// The names in the rules' `_match_route_`.
    fn routes(&self) -> BTreeSet<String> {
        let config: Value = serde_json::from_str(&self.config).unwrap_or_default();
        let rules = config.get("_rules_").and_then(Value::as_array).into_iter().flatten();
        let names = rules.filter_map(|rule| rule.get("_match_route_")?.as_array()).flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// A gateway: one HTTP port, at most one plugin, the upstream, and the services that the plugin calls.
///
/// Each route that a rule of the plugin names is reached under a path that begins with its name (`/foo/get` is `/get`
/// on the route `foo`), every other path is on the route `default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvoyConfig {
    /// Where Envoy's own pages are.
    pub admin: Address,
    /// Where requests come in.
    pub listen: Address,
    /// The plugin; without one, requests pass as they are.
    pub plugin: Option<Plugin>,
    /// Where requests go.
    pub upstream: Address,
    /// What the plugin may call.
    pub clusters: Vec<Cluster>,
}

impl EnvoyConfig {
    /// Envoy's bootstrap configuration.
    #[must_use]
    pub fn render(&self) -> Value {
        let upstream = Cluster { name: UPSTREAM.to_owned(), protocol: Protocol::Http, address: self.upstream.clone() };
        let clusters: Vec<Value> = [&upstream].into_iter().chain(&self.clusters).map(Cluster::render).collect();
        json!({
            "admin": { "address": self.admin.render() },
            "static_resources": { "listeners": [self.listener()], "clusters": clusters },
        })
    }

    /// The same as YAML, for people.
    ///
    /// # Errors
    /// None that is known of.
    pub fn to_yaml(&self) -> Result<String> {
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        Ok(serde_saphyr::to_string_with_options(&self.render(), options)?)
    }

    fn listener(&self) -> Value {
        let router = typed("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", json!({}));
        let filters: Vec<Value> = self.plugin.as_ref().map(Plugin::render).into_iter().chain([router]).collect();
        let manager = json!({
            "stat_prefix": "gateway",
            "max_request_headers_kb": MAX_HEADERS_KB,
            "common_http_protocol_options": { "max_headers_count": MAX_HEADERS },
            "http_filters": filters,
            "route_config": { "virtual_hosts": [{ "name": "any", "domains": ["*"], "routes": self.routes() }] },
        });
        let manager = typed(
            "envoy.filters.network.http_connection_manager",
            "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            manager,
        );
        json!({
            "name": "gateway",
            "address": self.listen.render(),
            "filter_chains": [{ "filters": [manager] }],
        })
    }

    fn routes(&self) -> Vec<Value> {
        let mut names = self.plugin.as_ref().map(Plugin::routes).unwrap_or_default();
        names.remove(DEFAULT_ROUTE);
        // In reverse order a name comes before those that it begins with: `/a/b/` before `/a/`.
        let named = names.iter().rev().map(|name| {
            json!({
                "name": name,
                "match": { "prefix": format!("/{name}/") },
                "route": { "cluster": UPSTREAM, "prefix_rewrite": "/" },
            })
        });
        let default = json!({ "name": DEFAULT_ROUTE, "match": { "prefix": "/" }, "route": { "cluster": UPSTREAM } });
        named.chain([default]).collect()
    }
}

/// An extension of Envoy: its name, its message type and the message.
fn typed(name: &str, message: &str, fields: Value) -> Value {
    let config = with(fields, "@type", format!("type.googleapis.com/{message}").into());
    json!({ "name": name, "typed_config": config })
}

/// An object with one more field.
fn with(mut object: Value, key: &str, value: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.insert(key.to_owned(), value);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_configuration_is_none_at_all() {
        let config = "/typed_config/config/configuration/value";
        for (text, sent) in [("", None), ("{}", None), (r#"{"a":1}"#, Some(r#"{"a":1}"#)), ("no json", Some("no json"))]
        {
            let plugin = plugin(text).render();
            assert_eq!(plugin.pointer(config).and_then(Value::as_str), sent, "{text}");
        }
    }

    #[test]
    fn each_gateway_is_told_in_its_own_words_what_to_do_when_the_plugin_has_failed() {
        for (gateway, fail_open, key, value) in [
            (Gateway::Envoy, false, "failure_policy", json!("FAIL_RELOAD")),
            (Gateway::Envoy, true, "failure_policy", json!("FAIL_OPEN")),
            (Gateway::Higress, false, "fail_open", json!(false)),
            (Gateway::Higress, true, "fail_open", json!(true)),
        ] {
            let rendered = Plugin { gateway, fail_open, ..plugin("") }.render();
            let config = rendered["typed_config"]["config"].as_object().unwrap();
            let said: Vec<_> = config.iter().filter(|(key, _)| key.starts_with("fail")).collect();
            assert_eq!(said, [(&key.to_owned(), &value)], "{gateway:?} {fail_open}");
        }
    }

    #[test]
    fn each_route_of_a_rule_has_a_path_and_the_longer_name_comes_first() {
        let rules = json!({ "_rules_": [
            { "_match_route_": ["ns", "default"] },
            { "_match_domain_": ["d"] },
            { "_match_route_": ["ns/foo", "ns"] },
        ] });
        let gateway = EnvoyConfig { plugin: Some(plugin(&rules.to_string())), ..gateway() };
        let routes = gateway.routes();
        let paths = routes.iter().map(|route| (route["name"].as_str(), route["match"]["prefix"].as_str()));
        assert_eq!(
            paths.collect::<Vec<_>>(),
            [(Some("ns/foo"), Some("/ns/foo/")), (Some("ns"), Some("/ns/")), (Some("default"), Some("/")),],
        );
    }

    #[test]
    fn a_host_may_be_an_address_or_a_name() {
        for (host, kind) in [("127.0.0.1", "STATIC"), ("::1", "STATIC"), ("httpbin", "STRICT_DNS")] {
            let upstream = Address { host: host.to_owned(), port: 80 };
            let config = EnvoyConfig { upstream, ..gateway() }.render();
            assert_eq!(config["static_resources"]["clusters"][0]["type"], kind, "{host}");
        }
    }

    fn gateway() -> EnvoyConfig {
        let nowhere = Address::local(0);
        EnvoyConfig {
            admin: nowhere.clone(),
            listen: nowhere.clone(),
            plugin: None,
            upstream: nowhere,
            clusters: Vec::new(),
        }
    }

    fn plugin(config: &str) -> Plugin {
        Plugin {
            name: "p".to_owned(),
            module: "p.wasm".to_owned(),
            gateway: Gateway::Envoy,
            config: config.to_owned(),
            fail_open: false,
        }
    }
}
