"""What projects.yaml lets be written is held against REDCap at the next load."""


def test_a_name_that_redcap_does_not_have_is_told_by_the_next_load_and_no_other(site, study):
    site.allowed["study"] = "{fields: [weight, complaints___1, enrolment_complete], instruments: [enrolment]}"
    assert site.load().message is None
    site.allowed["study"] = (
        "{fields: [weight, wieght, complaints___1, enrolment_complete], instruments: [enrolment, enrollment]}"
    )
    report = site.night()
    assert report.complete
    told = (
        "projects.yaml, projects.study.writeback.fields: REDCap has no wieght. "
        "projects.yaml, projects.study.writeback.instruments: REDCap has no enrollment."
    )
    assert report.message == told
    assert site.rows("SELECT message FROM redcap.sync_runs ORDER BY started_at DESC LIMIT 1") == [(told,)]
