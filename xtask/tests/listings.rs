// SPDX-License-Identifier: Apache-2.0
//! What the README shows is what is compiled.

use std::fs;

use testkit::workspace;

#[test]
fn every_listing_of_the_readme_is_a_part_of_a_plugin() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let plugins = fs::read_dir(workspace().join("plugins")).unwrap();
    let sources: Vec<String> =
        plugins.map(|plugin| fs::read_to_string(plugin.unwrap().path().join("src/lib.rs")).unwrap()).collect();
    let listings: Vec<&str> =
        readme.split("```rust\n").skip(1).map(|rest| rest.split_once("\n```").unwrap().0).collect();
    assert!(!listings.is_empty());
    for listing in listings {
        assert!(sources.iter().any(|source| source.contains(listing)), "no plugin has\n{listing}");
    }
}

#[test]
fn the_readme_names_every_plugin() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    for plugin in fs::read_dir(workspace().join("plugins")).unwrap() {
        let name = plugin.unwrap().file_name().into_string().unwrap();
        let link = format!("[{name}](plugins/{name}/README.md)");
        assert!(readme.contains(&link), "add {link} to the table of plugins in README.md");
    }
}
