// SPDX-License-Identifier: Apache-2.0
//! The services that a plugin's configuration names, as clusters of the local gateway.
//!
//! Redis services are the local Redis, all others the local httpbin.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use testkit::envoy_config::UPSTREAM;
use testkit::{Cluster, Gateway, Protocol};

use crate::gateway::Addresses;

/// The port of Redis: the only one that plugins take when none is given, but for `.static` services.
const REDIS_PORT: u16 = 6379;

/// A cluster for each service that an object in the configuration names by `serviceName`, as the plugin calls it.
///
/// What the plugin refuses, such as port 0, is left to it; so is the upstream, which is there in any case.
pub(crate) fn clusters(config: &Value, gateway: Gateway, at: &Addresses) -> Vec<Cluster> {
    let mut services = BTreeMap::new();
    for object in configurations(config) {
        collect(&object.into(), &mut services);
    }
    services.remove(UPSTREAM);
    // To Higress, which speaks to Redis by itself, all clusters are alike.
    let redis = if gateway == Gateway::Higress { Protocol::Http } else { Protocol::RedisTcp };
    let cluster = |(name, is_redis)| {
        let (protocol, address) = if is_redis { (redis, &at.redis) } else { (Protocol::Http, &at.httpbin) };
        Cluster { name, protocol, address: address.clone() }
    };
    services.into_iter().map(cluster).collect()
}

/// The global configuration, and each rule both by itself and on top of the global keys: whether a plugin's rules
/// inherit those, only the plugin knows.
fn configurations(config: &Value) -> Vec<Map<String, Value>> {
    let mut global = config.as_object().cloned().unwrap_or_default();
    let rules = global.remove("_rules_").unwrap_or_default();
    let rules = rules.as_array().into_iter().flatten().filter_map(Value::as_object);
    let rules = rules.flat_map(|rule| [rule.clone(), global.clone().into_iter().chain(rule.clone()).collect()]);
    rules.chain([global.clone()]).collect()
}

/// Adds the services that this value and what is in it name: the cluster's name, and whether it is Redis.
fn collect(value: &Value, services: &mut BTreeMap<String, bool>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, services)),
        Value::Object(fields) => {
            services.extend(service(fields));
            fields.values().for_each(|value| collect(value, services));
        }
        _ => {}
    }
}

fn service(fields: &Map<String, Value>) -> Option<(String, bool)> {
    let name = fields.get("serviceName")?.as_str()?;
    let port = match fields.get("servicePort") {
        None | Some(Value::Null) => None,
        Some(port) => Some(port.as_u64()?.try_into().ok()?),
    };
    let cluster = shared::Cluster::of_service(name, port, Some(REDIS_PORT)).ok()?.name().to_owned();
    let is_redis = ["redis", "valkey"].iter().any(|redis| name.contains(redis))
        || cluster == shared::Cluster::fqdn(name, REDIS_PORT).name();
    Some((cluster, is_redis))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::Address;

    use super::*;

    #[test]
    fn a_configuration_names() {
        let cases = [
            ("nothing", json!({}), vec![]),
            ("a static service", json!({ "serviceName": "token.static" }), vec!["outbound|80||token.static http"]),
            (
                "a static service with a port",
                json!({ "serviceName": "token.static", "servicePort": 8080 }),
                vec!["outbound|8080||token.static http"],
            ),
            (
                "a service that is Redis by its name",
                json!({ "serviceName": "redis.static" }),
                vec!["outbound|80||redis.static redis"],
            ),
            (
                "Valkey, on its default port",
                json!({ "serviceName": "my-valkey.dns", "servicePort": null }),
                vec!["outbound|6379||my-valkey.dns redis"],
            ),
            (
                "a service that is Redis by its port",
                json!({ "serviceName": "cache.dns", "servicePort": 6379 }),
                vec!["outbound|6379||cache.dns redis"],
            ),
            (
                "a service without a port: only to Redis has one a default",
                json!({ "serviceName": "cache.dns" }),
                vec!["outbound|6379||cache.dns redis"],
            ),
            (
                "Redis on another port",
                json!({ "serviceName": "redis.dns", "servicePort": 7000 }),
                vec!["outbound|7000||redis.dns redis"],
            ),
            ("the upstream, which is there", json!({ "serviceName": "httpbin.static", "servicePort": 80 }), vec![]),
            (
                "what the plugin refuses",
                json!({ "services": [
                    { "serviceName": 1 },
                    { "serviceName": "" },
                    { "serviceName": "a|b.static" },
                    { "serviceName": "a.dns", "servicePort": 0 },
                    { "serviceName": "a.dns", "servicePort": 65536 },
                    { "serviceName": "a.dns", "servicePort": "80" },
                ] }),
                vec![],
            ),
            (
                "services deeper down",
                json!({ "redis": { "serviceName": "redis.static" }, "auth": [{ "serviceName": "auth.static" }] }),
                vec!["outbound|80||auth.static http", "outbound|80||redis.static redis"],
            ),
            (
                "the same service twice",
                json!({ "a": { "serviceName": "a.static" }, "b": { "serviceName": "a.static", "servicePort": 80 } }),
                vec!["outbound|80||a.static http"],
            ),
            (
                "a rule's own service",
                json!({ "_rules_": [{ "serviceName": "a.static" }] }),
                vec!["outbound|80||a.static http"],
            ),
            (
                "a rule that inherits both keys",
                json!({ "serviceName": "a.dns", "servicePort": 81, "_rules_": [{ "qpm": 1 }] }),
                vec!["outbound|81||a.dns http"],
            ),
            (
                "a rule with another port",
                json!({ "serviceName": "a.dns", "servicePort": 81, "_rules_": [{ "servicePort": 82 }] }),
                vec!["outbound|81||a.dns http", "outbound|82||a.dns http"],
            ),
            (
                "a rule with another name, whether or not it inherits the port",
                json!({ "serviceName": "a.dns", "servicePort": 81, "_rules_": [{ "serviceName": "b.static" }] }),
                vec!["outbound|80||b.static http", "outbound|81||a.dns http", "outbound|81||b.static http"],
            ),
        ];
        for (what, config, expected) in cases {
            assert_eq!(named(&config), expected, "{what}");
        }
    }

    #[test]
    fn redis_is_an_ordinary_cluster_to_higress_and_raw_tcp_to_envoy() {
        let config = json!({ "serviceName": "redis.static" });
        for (gateway, protocol) in [(Gateway::Higress, Protocol::Http), (Gateway::Envoy, Protocol::RedisTcp)] {
            let redis = Cluster { name: "outbound|80||redis.static".to_owned(), protocol, address: Address::local(2) };
            assert_eq!(clusters(&config, gateway, &at()), [redis], "{gateway:?}");
        }
    }

    /// Each cluster's name and where it is.
    fn named(config: &Value) -> Vec<String> {
        let at = at();
        let place = |address: &Address| if *address == at.redis { "redis" } else { "http" };
        let clusters = clusters(config, Gateway::Envoy, &at);
        clusters.iter().map(|cluster| format!("{} {}", cluster.name, place(&cluster.address))).collect()
    }

    fn at() -> Addresses {
        let [admin, gateway, httpbin, redis] = [0, 0, 1, 2].map(Address::local);
        Addresses { admin, gateway, httpbin, redis }
    }
}
