use std::path::Path;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let corpus = datasets::Corpus::open(Path::new(&a[1])).unwrap();
    let summary = corpus.check(datasets::CheckOptions { files: false }, &mut |_| {}).unwrap();
    let mut s = replay::scenario::Scenario::default();
    if let Some(n) = a.get(2) {
        s.bounties = n.parse().unwrap();
    }
    if std::env::var("PAR").is_ok() {
        s.rivals[0].model = replay::scenario::RivalModel::TwoFactor;
    }
    let setup = replay::plan::Setup::new(s, corpus, summary, Path::new("."), Path::new(".")).unwrap();
    let run = sim::execute::execute(
        &setup,
        sim::execute::Wishes {
            command: "x".into(),
            scenario_sha256: [0; 32],
            scenario_toml: "",
            out: None,
            nulls: a.get(3).is_none(),
            jobs: 1,
        },
        &Default::default(),
        &|_| {},
    )
    .unwrap();
    eprintln!("{}", sim::report::text(&run));
}
