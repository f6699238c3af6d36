"""EMR takes the requests that the documentation shows (moto checks their form)."""

import boto3
import pytest

from tests.end_to_end.emr_requests import request_of_page
from tests.support.s3_server import s3_server


@pytest.fixture(scope="module")
def endpoint(monkeypatch_module):
    monkeypatch_module.delenv("METACLIP_S3_ENDPOINT", raising=False)
    with s3_server() as made:
        yield made


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_emr_on_ec2_takes_the_request(endpoint):
    emr = boto3.client("emr", endpoint_url=endpoint, region_name="us-east-1")
    request = request_of_page("emr")
    cluster = emr.run_job_flow(**request)["JobFlowId"]
    described = emr.describe_cluster(ClusterId=cluster)["Cluster"]
    assert described["ReleaseLabel"] == "emr-7.9.0"
    assert [app["Name"] for app in described["Applications"]] == ["Spark"]
    step = emr.list_steps(ClusterId=cluster)["Steps"][0]
    assert step["Config"]["Args"] == request["Steps"][0]["HadoopJarStep"]["Args"]
    action = emr.list_bootstrap_actions(ClusterId=cluster)["BootstrapActions"][0]
    assert action["ScriptPath"].endswith("bootstrap.sh")


def test_emr_serverless_takes_the_request(endpoint):
    emr = boto3.client("emr-serverless", endpoint_url=endpoint, region_name="us-east-1")
    wanted = request_of_page("emr-serverless", place=1)
    application = emr.create_application(**wanted)["applicationId"]
    assert emr.get_application(applicationId=application)["application"]["releaseLabel"] == wanted["releaseLabel"]
    request = {**request_of_page("emr-serverless"), "applicationId": application}
    job = emr.start_job_run(**request)["jobRunId"]
    run = emr.get_job_run(applicationId=application, jobRunId=job)["jobRun"]
    assert run["jobDriver"] == request["jobDriver"]


def test_every_option_shown_exists():
    from metaclip_spark.config.command_line import parse_configs
    from metaclip_spark.config.curation import ExtractConfig, LanguageConfig, MatchConfig, OutputConfig, SampleConfig

    configs = (OutputConfig, ExtractConfig, MatchConfig, LanguageConfig, SampleConfig)
    on_ec2 = request_of_page("emr")["Steps"][0]["HadoopJarStep"]["Args"]
    serverless = request_of_page("emr-serverless")["jobDriver"]["sparkSubmit"]["entryPointArguments"]
    script = next(place for place, part in enumerate(on_ec2) if part.endswith("curate.py"))
    for options in (on_ec2[script + 1 :], serverless):
        assert parse_configs(options, "", *configs)[1].crawl == "CC-MAIN-2024-10"
