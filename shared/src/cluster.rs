// SPDX-License-Identifier: Apache-2.0
//! The names that the gateway gives to its clusters: `outbound|{port}|{version}|{service}`.
//!
//! Formed as the Go SDK forms them (higress-group/wasm-go, pkg/wrapper/cluster_wrapper.go), with one
//! difference: the host of a Kubernetes service without a namespace has `default` in its place, as its
//! cluster has.

use crate::ConfigError;

/// The port that the console gives to every service whose name ends in `.static`.
const STATIC_PORT: u16 = 80;

/// A cluster of the gateway: where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    name: String,
    host: String,
}

impl Cluster {
    /// The service that a plugin's keys `serviceName` and `servicePort` name: its full name in the gateway,
    /// such as `redis.static`, `httpbin.dns` or `svc.ns.svc.cluster.local`.
    ///
    /// Without a port, a service whose name ends in `.static` has port 80, another one `default_port` (6379
    /// for Redis, none for HTTP). A port that is given counts, for a `.static` service too: the console gives
    /// all of them port 80, but one that was registered by hand may have another.
    ///
    /// # Errors
    /// A name that no service can have, port 0, or no port and no default for it; the error names the key.
    pub fn of_service(service_name: &str, port: Option<u16>, default_port: Option<u16>) -> Result<Self, ConfigError> {
        check_service_name(service_name).map_err(|reason| ConfigError::new("serviceName", reason))?;
        let port = if service_name.ends_with(".static") { port.or(Some(STATIC_PORT)) } else { port.or(default_port) };
        let wrong_port = |reason| ConfigError::new("servicePort", reason);
        match port {
            None => Err(wrong_port("is missing; only a .static service has a default (80)")),
            Some(0) => Err(wrong_port("must be a whole number from 1 to 65535, got 0")),
            Some(port) => Ok(Self::fqdn(service_name, port)),
        }
    }

    /// A service by its full name in the gateway, which is also its host.
    pub fn fqdn(name: &str, port: u16) -> Self {
        Self::outbound(port, name, name)
    }

    /// A service of Kubernetes; an empty namespace is `default`. Its host is the full name,
    /// `service.namespace.svc.cluster.local`.
    pub fn kubernetes(service: &str, namespace: &str, port: u16) -> Self {
        let namespace = if namespace.is_empty() { "default" } else { namespace };
        Self::fqdn(&format!("{service}.{namespace}.svc.cluster.local"), port)
    }

    /// A service of Nacos; an empty group is `DEFAULT-GROUP`, and a group may be written with `_`, as Nacos
    /// does, or with `-`, as the gateway does. Its host is the service's name.
    pub fn nacos(service: &str, group: &str, namespace: &str, port: u16) -> Self {
        Self::of_nacos(service, group, namespace, "nacos", port)
    }

    /// Like [`nacos`](Self::nacos), for a service of the registries EDAS and SAE.
    pub fn nacos_ext(service: &str, group: &str, namespace: &str, port: u16) -> Self {
        Self::of_nacos(service, group, namespace, "nacos-ext", port)
    }

    fn of_nacos(service: &str, group: &str, namespace: &str, registry: &str, port: u16) -> Self {
        let group = if group.is_empty() { "DEFAULT-GROUP" } else { group }.replace('_', "-");
        Self::outbound(port, &format!("{service}.{group}.{namespace}.{registry}"), service)
    }

    /// A service of fixed addresses, by its name without `.static`, which is also its host.
    pub fn static_ip(service: &str, port: u16) -> Self {
        Self::outbound(port, &format!("{service}.static"), service)
    }

    /// A service behind a domain, by its name without `.dns`. Its host is the domain.
    pub fn dns(service: &str, domain: &str, port: u16) -> Self {
        Self::outbound(port, &format!("{service}.dns"), domain)
    }

    /// A service of Consul. Its host is the service's name.
    pub fn consul(service: &str, datacenter: &str, port: u16) -> Self {
        Self::outbound(port, &format!("{service}.{datacenter}.consul"), service)
    }

    /// The cluster that the request's route leads to: of the property `cluster_name` and of the request's
    /// `:authority`, which is the host. `None` if the route leads to no cluster, and the name is empty.
    pub fn of_route(cluster_name: &[u8], authority: &str) -> Option<Self> {
        let name = str::from_utf8(cluster_name).ok().filter(|name| !name.is_empty())?;
        Some(Self::named(name).with_host(authority))
    }

    /// A cluster by its name in the gateway's own configuration. The host is the name, of
    /// `outbound|80||httpbin.dns` the part behind the last bar.
    pub fn named(name: &str) -> Self {
        let host = name.rsplit('|').next().unwrap_or_default();
        Cluster { name: name.to_string(), host: host.to_string() }
    }

    fn outbound(port: u16, service: &str, host: &str) -> Self {
        Cluster { name: format!("outbound|{port}||{service}"), host: host.to_string() }
    }

    /// The same cluster under another host.
    pub fn with_host(self, host: &str) -> Self {
        Cluster { host: host.to_string(), ..self }
    }

    /// The hosts of this version alone (a subset, as Istio calls it) of a Kubernetes or Nacos service. A
    /// cluster that was given by its name stays as it is.
    pub fn with_version(self, version: &str) -> Self {
        Cluster { name: self.name.replacen("||", &format!("|{version}|"), 1), ..self }
    }

    /// What the gateway calls the cluster.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a request to the cluster has as its `:authority`, unless its URL has a host.
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// Refuses what would change the meaning of a cluster's name: bars divide it, and behind a question mark the
/// gateway looks for the options of a Redis cluster.
fn check_service_name(name: &str) -> Result<(), &'static str> {
    let breaks = |c: char| c.is_whitespace() || c.is_control() || c == '|' || c == '?';
    if name.is_empty() {
        Err("must not be empty")
    } else if name.contains(breaks) {
        Err("must be a name such as redis.static, without spaces, control characters, | or ?")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_service_has_the_name_and_host_of_the_go_sdk() {
        for (cluster, name, host) in [
            (Cluster::fqdn("httpbin.dns", 443), "outbound|443||httpbin.dns", "httpbin.dns"),
            (
                Cluster::kubernetes("svc", "ns", 8080),
                "outbound|8080||svc.ns.svc.cluster.local",
                "svc.ns.svc.cluster.local",
            ),
            (
                Cluster::kubernetes("svc", "", 8080).with_version("v1"),
                "outbound|8080|v1|svc.default.svc.cluster.local",
                "svc.default.svc.cluster.local",
            ),
            (Cluster::nacos("svc", "MY_GROUP_A", "public", 8848), "outbound|8848||svc.MY-GROUP-A.public.nacos", "svc"),
            (
                Cluster::nacos("my_svc", "", "name_space", 8848).with_version("v2"),
                "outbound|8848|v2|my_svc.DEFAULT-GROUP.name_space.nacos",
                "my_svc",
            ),
            (
                Cluster::nacos_ext("svc", "DEFAULT_GROUP", "public", 80),
                "outbound|80||svc.DEFAULT-GROUP.public.nacos-ext",
                "svc",
            ),
            (Cluster::static_ip("redis", 80), "outbound|80||redis.static", "redis"),
            (Cluster::dns("httpbin", "httpbin.org", 443), "outbound|443||httpbin.dns", "httpbin.org"),
            (Cluster::consul("svc", "dc1", 80), "outbound|80||svc.dc1.consul", "svc"),
            (Cluster::consul("svc", "dc1", 80).with_host("example.com"), "outbound|80||svc.dc1.consul", "example.com"),
        ] {
            assert_eq!((cluster.name(), cluster.host()), (name, host));
        }
    }

    #[test]
    fn a_named_cluster_has_its_name_or_its_service_as_host() {
        for (name, host) in [
            ("httpbin", "httpbin"),
            ("outbound|80||httpbin.dns", "httpbin.dns"),
            ("outbound|80|v1|httpbin.dns", "httpbin.dns"),
        ] {
            let cluster = Cluster::named(name);
            assert_eq!((cluster.name(), cluster.host()), (name, host));
        }
        assert_eq!(Cluster::named("httpbin").with_version("v1").name(), "httpbin");
    }

    #[test]
    fn the_cluster_of_a_route_has_the_host_of_the_request() {
        let cluster = Cluster::of_route(b"outbound|80||httpbin.dns", "www.example.com:8080").unwrap();
        assert_eq!((cluster.name(), cluster.host()), ("outbound|80||httpbin.dns", "www.example.com:8080"));
        assert_eq!(Cluster::of_route(b"", "www.example.com"), None);
        assert_eq!(Cluster::of_route(b"\xff", "www.example.com"), None);
    }

    #[test]
    fn a_service_has_its_port_or_a_default() {
        for (service_name, port, default_port, name) in [
            ("redis.static", None, Some(6379), "outbound|80||redis.static"),
            ("redis.static", None, None, "outbound|80||redis.static"),
            ("redis.static", Some(6379), None, "outbound|6379||redis.static"),
            ("redis.dns", None, Some(6379), "outbound|6379||redis.dns"),
            ("redis.dns", Some(7000), Some(6379), "outbound|7000||redis.dns"),
            ("redis.static.dns", None, Some(6379), "outbound|6379||redis.static.dns"),
        ] {
            let cluster = Cluster::of_service(service_name, port, default_port).unwrap();
            assert_eq!((cluster.name(), cluster.host()), (name, service_name));
        }
    }

    #[test]
    fn what_cannot_be_a_service_is_refused_with_its_key() {
        let bad_name = "serviceName: must be a name such as redis.static, without spaces, control characters, | or ?";
        for (service_name, port, error) in [
            ("", Some(80), "serviceName: must not be empty"),
            ("outbound|80||redis.static", Some(80), bad_name),
            (" redis.static", Some(80), bad_name),
            ("redis.static\n", Some(80), bad_name),
            ("redis\0.static", Some(80), bad_name),
            ("redis.static?db=1", Some(80), bad_name),
            ("redis.static", Some(0), "servicePort: must be a whole number from 1 to 65535, got 0"),
            ("httpbin.dns", None, "servicePort: is missing; only a .static service has a default (80)"),
        ] {
            assert_eq!(Cluster::of_service(service_name, port, None).unwrap_err().to_string(), error);
        }
    }
}
