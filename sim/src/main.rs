fn main() {
    for file in std::env::args().skip(1) {
        let (mut n, mut bad, mut shown) = (0, 0, 0);
        let r = sim::vectors::verify_file(file.as_ref(), |c| {
            n += 1;
            if let sim::vectors::Outcome::Differs(d) = c.outcome {
                bad += 1;
                if shown < 5 {
                    shown += 1;
                    eprintln!("{} {} {:?}", c.line, c.id, d);
                }
            }
        });
        eprintln!("{file}: {n} {bad} {:?}", r.err().map(|e| format!("{e:#}")));
    }
}
