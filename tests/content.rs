//! The content check on the real course and on faulty and hostile ones.

use osai::content::Library;

fn faults(library: &Library) -> String {
    library.check(&osai::labs::ids()).iter().map(|fault| format!("{fault}\n\n")).collect()
}

#[test]
fn the_course_has_no_faults() {
    let faults = faults(&Library::embedded());
    assert!(faults.is_empty(), "\n{faults}");
}
