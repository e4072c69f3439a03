// SPDX-License-Identifier: Apache-2.0
//! A plugin's `wasmplugin.yaml`, and what of it reaches the plugin: the work of Higress's controller
//! (`convertIstioWasmPlugin` in its `pkg/ingress/config/ingress_config.go`).

use std::fs;
use std::path::Path;

use anyhow::{Context, Error, Result, anyhow, bail};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Number, Value, json};

/// A plugin's configuration, or a rule's.
pub type Config = Map<String, Value>;

/// The `spec` of a WasmPlugin.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Sent as it is, instead of everything else.
    pub plugin_config: Option<Config>,
    /// The global configuration.
    pub default_config: Option<Config>,
    /// Whether there is no global configuration.
    pub default_config_disable: bool,
    /// Configurations for some of the requests; the first that matches counts.
    pub match_rules: Vec<MatchRule>,
    /// What happens to requests when the plugin has failed.
    pub fail_strategy: FailStrategy,

    // Not about configuration. They are listed so that a misspelt field is refused.
    image_pull_policy: IgnoredAny,
    image_pull_secret: IgnoredAny,
    phase: IgnoredAny,
    plugin_name: IgnoredAny,
    priority: IgnoredAny,
    sha256: IgnoredAny,
    url: IgnoredAny,
    verification_key: IgnoredAny,
    vm_config: IgnoredAny,
}

/// A configuration for the requests of some routes, domains or services.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct MatchRule {
    /// Names of routes.
    pub ingress: Vec<String>,
    /// Hosts that requests ask for.
    pub domain: Vec<String>,
    /// Services that requests go to.
    pub service: Vec<String>,
    /// The configuration.
    pub config: Config,
    /// Whether this rule counts as not written.
    pub config_disable: bool,
    /// What kind of routes `ingress` names.
    pub route_type: RouteType,
}

/// What happens to requests when the plugin has failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FailStrategy {
    /// They are answered with 503.
    #[default]
    FailClose,
    /// They pass.
    FailOpen,
}

/// The kind of a route.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RouteType {
    /// An Ingress, or an HTTPRoute.
    #[default]
    Http,
    /// A GRPCRoute.
    Grpc,
}

impl Spec {
    /// The spec in a `wasmplugin.yaml`.
    ///
    /// # Errors
    /// The file cannot be read, or is no WasmPlugin.
    pub fn read(file: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct WasmPlugin {
            spec: Spec,
        }
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let plugin: WasmPlugin = serde_saphyr::from_str(&text).map_err(|error| no_plugin(file, &error))?;
        Ok(plugin.spec)
    }

    /// The spec behind a piece of YAML: a part of a spec, or the plugin's own keys as one types them into the console.
    ///
    /// # Errors
    /// It is neither.
    pub fn from_example(yaml: &str) -> Result<Self> {
        let keys: Config = serde_saphyr::from_str(yaml).map_err(Error::msg)?;
        if ["defaultConfig", "defaultConfigDisable", "matchRules"].iter().any(|&key| keys.contains_key(key)) {
            return serde_saphyr::from_str(yaml).map_err(Error::msg);
        }
        Ok(Self { default_config: Some(keys), ..Self::default() })
    }

    /// The configuration as the plugin gets it, `None` if the gateway is not even told of the plugin.
    ///
    /// # Errors
    /// A rule has no condition: the controller goes on with the plugin as it was before.
    pub fn config(&self) -> Result<Option<Value>> {
        if let Some(config) = &self.plugin_config {
            return Ok(Some(through_protobuf(config.clone().into())));
        }
        let mut config = self.default_config.clone().filter(|_| !self.default_config_disable).unwrap_or_default();
        let mut rules = Vec::new();
        for (index, rule) in self.match_rules.iter().enumerate().filter(|(_, rule)| !rule.config_disable) {
            rules.push(rule.render().with_context(|| format!("matchRules[{index}]"))?);
        }
        if rules.is_empty() && self.default_config_disable {
            return Ok(None);
        }
        if !rules.is_empty() {
            config.insert("_rules_".to_owned(), rules.into());
        }
        Ok(Some(through_protobuf(config.into())))
    }
}

fn no_plugin(file: &Path, error: &serde_saphyr::Error) -> Error {
    anyhow!("{} is no WasmPlugin: {error}", file.display()) // the text of the error holds that of its cause
}

impl MatchRule {
    fn render(&self) -> Result<Value> {
        // The controller joins no name to the type, so such a rule never matches (routeType, path.Join).
        let routes = match self.route_type {
            RouteType::Http => self.ingress.clone(),
            RouteType::Grpc => vec!["GRPC".to_owned(); self.ingress.len()],
        };
        let lists = [("_match_route_", &routes), ("_match_service_", &self.service), ("_match_domain_", &self.domain)];
        if lists.iter().all(|(_, list)| list.is_empty()) {
            bail!("invalid match rule has no match condition");
        }
        let mut config = self.config.clone();
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            config.insert(key.to_owned(), json!(list));
        }
        Ok(config.into())
    }
}

/// A configuration is a protobuf `Struct` on its way, and there every number is a double.
fn through_protobuf(value: Value) -> Value {
    match value {
        Value::Number(number) => double(&number),
        Value::Array(values) => values.into_iter().map(through_protobuf).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(key, value)| (key, through_protobuf(value))).collect::<Config>().into()
        }
        other => other,
    }
}

/// A number as a double is written: without a fraction if it has none.
fn double(number: &Number) -> Value {
    let double = number.as_f64().unwrap_or_default();
    if double.fract() == 0.0 && double.abs() < 1e18 { json!(double as i64) } else { json!(double) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controller_sends() {
        let cases = [
            ("nothing: no configuration", "{}", json!({})),
            (
                "pluginConfig is sent as it is, everything else ignored",
                "{pluginConfig: {a: 1, _rules_: []}, defaultConfig: {b: 1}, matchRules: [{}]}",
                json!({ "a": 1, "_rules_": [] }),
            ),
            ("pluginConfig null is none", "{pluginConfig: null, defaultConfig: {b: 1}}", json!({ "b": 1 })),
            ("defaultConfig is the base", "defaultConfig: {a: 1}", json!({ "a": 1 })),
            (
                "defaultConfigDisable: no base",
                "{defaultConfig: {a: 1}, defaultConfigDisable: true, matchRules: [{domain: [d]}]}",
                json!({ "_rules_": [{ "_match_domain_": ["d"] }] }),
            ),
            (
                "rules in the order of the manifest",
                "matchRules: [{domain: [b]}, {ingress: [r]}, {domain: [a]}]",
                json!({ "_rules_": [
                    { "_match_domain_": ["b"] }, { "_match_route_": ["r"] }, { "_match_domain_": ["a"] },
                ] }),
            ),
            (
                "a disabled rule is dropped",
                "matchRules: [{domain: [a], configDisable: true}, {domain: [b]}]",
                json!({ "_rules_": [{ "_match_domain_": ["b"] }] }),
            ),
            (
                "a disabled rule needs no condition",
                "{defaultConfig: {a: 1}, matchRules: [{configDisable: true}]}",
                json!({ "a": 1 }),
            ),
            (
                "a rule without config has only its conditions",
                "matchRules: [{service: [s]}]",
                json!({ "_rules_": [{ "_match_service_": ["s"] }] }),
            ),
            (
                "each list has its key, beside the rule's own keys",
                "matchRules: [{ingress: [ns/r], service: ['s.static:80'], domain: ['*.x.com'], config: {k: 2}}]",
                json!({ "_rules_": [{
                    "_match_route_": ["ns/r"], "_match_service_": ["s.static:80"], "_match_domain_": ["*.x.com"],
                    "k": 2,
                }] }),
            ),
            (
                "an empty list has no key",
                "matchRules: [{ingress: [], domain: [d]}]",
                json!({ "_rules_": [{ "_match_domain_": ["d"] }] }),
            ),
            (
                "rules stand beside the base, which keeps its keys",
                "{defaultConfig: {k: 1}, matchRules: [{domain: [d], config: {k: 2}}]}",
                json!({ "k": 1, "_rules_": [{ "_match_domain_": ["d"], "k": 2 }] }),
            ),
            (
                "rules replace _rules_ of the base",
                "{defaultConfig: {_rules_: [1]}, matchRules: [{domain: [d]}]}",
                json!({ "_rules_": [{ "_match_domain_": ["d"] }] }),
            ),
            (
                "_match_route_prefix_ only if written by hand",
                "defaultConfig: {_rules_: [{_match_route_prefix_: [p]}]}",
                json!({ "_rules_": [{ "_match_route_prefix_": ["p"] }] }),
            ),
            (
                "routeType GRPC loses the route's name",
                "matchRules: [{ingress: [ns/r], routeType: GRPC}]",
                json!({ "_rules_": [{ "_match_route_": ["GRPC"] }] }),
            ),
            (
                "every number is a double",
                "defaultConfig: {a: 1.0, b: 0.5, c: [9007199254740993], d: {e: 18446744073709551615}}",
                json!({ "a": 1, "b": 0.5, "c": [9_007_199_254_740_992_i64], "d": { "e": 1.844_674_407_370_955_2e19 } }),
            ),
            (
                "what has nothing to do with the configuration is not sent",
                "{url: 'oci://x', phase: AUTHN, priority: 10, failStrategy: FAIL_OPEN, defaultConfig: {a: yes}}",
                json!({ "a": true }),
            ),
        ];
        for (name, yaml, sent) in cases {
            assert_eq!(spec(yaml).unwrap().config().unwrap(), Some(sent), "{name}");
        }
    }

    #[test]
    fn the_controller_does_not_send() {
        for (name, yaml) in [
            ("no base and no rules", "defaultConfigDisable: true"),
            (
                "no base and every rule disabled",
                "{defaultConfigDisable: true, matchRules: [{domain: [d], configDisable: true}]}",
            ),
        ] {
            assert_eq!(spec(yaml).unwrap().config().unwrap(), None, "{name}");
        }
    }

    #[test]
    fn a_rule_without_condition_is_an_error() {
        let error = spec("matchRules: [{domain: [d]}, {ingress: [], config: {a: 1}}]").unwrap().config().unwrap_err();
        assert_eq!(format!("{error:#}"), "matchRules[1]: invalid match rule has no match condition");
    }

    #[test]
    fn a_misspelt_key_is_an_error() {
        for yaml in ["matchRule: []", "matchRules: [{domains: [d]}]", "failStrategy: OPEN", "defaultConfig: 1"] {
            assert!(spec(yaml).is_err(), "{yaml}");
        }
    }

    #[test]
    fn an_example_is_a_part_of_a_spec_or_what_one_types_into_the_console() {
        for (yaml, sent) in [
            ("{}", json!({})),
            ("mockEnable: true", json!({ "mockEnable": true })),
            ("defaultConfig: {a: 1}", json!({ "a": 1 })),
            ("{matchRules: [{domain: [d]}]}", json!({ "_rules_": [{ "_match_domain_": ["d"] }] })),
        ] {
            assert_eq!(Spec::from_example(yaml).unwrap().config().unwrap(), Some(sent), "{yaml}");
        }
        assert!(Spec::from_example("just text").is_err());
    }

    fn spec(yaml: &str) -> Result<Spec> {
        Ok(serde_saphyr::from_str(yaml)?)
    }
}
