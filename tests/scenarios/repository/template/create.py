"""Creates stacks of SAM templates in moto, which plays AWS, and says what AWS then has.

Reads [{"template": YAML, "stacks": [{"NAME": "VALUE", ...}, ...]}, ...], with the parameters of
each stack, from standard input, and prints a JSON list of lists: of each template, each stack.
"""

import ast
import functools
import io
import json
import os
import sys
import zipfile

os.environ["AWS_DEFAULT_REGION"] = "us-east-1"
os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "test"

import boto3  # noqa: E402
from moto import mock_aws  # noqa: E402
from moto.awslambda.models import LambdaVersion  # noqa: E402
from moto.cloudformation import parsing  # noqa: E402
from moto.cloudformation.custom_model import CustomModel  # noqa: E402
from moto.cloudformation.models import Stack  # noqa: E402
from moto.core.common_models import CloudFormationModel  # noqa: E402
from translate import translate  # noqa: E402


clean_json = parsing.clean_json


def clean(value, resources):
    """CloudFormation leaves an AWS::NoValue out of a list; moto keeps its place."""
    cleaned = clean_json(value, resources)
    return [one for one in cleaned if one is not None] if isinstance(cleaned, list) else cleaned


parsing.clean_json = clean
# The same, and much faster than to read JSON as YAML.
Stack.parse_template = staticmethod(json.loads)
# A function's versions have numbers; each stack makes one.
LambdaVersion.get_cfn_attribute = lambda _, attribute: {"Version": "1"}[attribute]


def made(type_, create):
    """Has moto's CloudFormation make what it leaves out, by the call that CloudFormation makes."""

    class Made(CloudFormationModel):
        # By which moto knows whose it is.
        __module__ = CustomModel.__module__

        def __init__(self, name, attributes):
            self.physical_resource_id = name
            self.attributes = attributes
            self.type = type_

        @staticmethod
        def cloudformation_name_type():
            return {"AWS::CloudWatch::Alarm": "AlarmName"}.get(type_, "Name")

        @staticmethod
        def cloudformation_type():
            return type_

        @classmethod
        def has_cfn_attr(cls, attr):
            return attr in ("Arn", "FunctionUrl")

        def get_cfn_attribute(self, attr):
            return self.attributes[attr]

        @classmethod
        def create_from_cloudformation_json(cls, name, given, account, region, **_):
            return cls(name, create(name, given["Properties"]) or {})

    return Made


def function(properties):
    """A function that CloudFormation knows by its ARN is one that moto's calls know by its name."""
    return {**properties, "FunctionName": properties["FunctionName"].split(":")[-1]}


def url(_, properties):
    target = properties.pop("TargetFunctionArn")
    return client("lambda").create_function_url_config(FunctionName=target, **properties)


def of(given, names):
    return {name: given[name] for name in names if name in given}


@functools.cache
def client(service):
    return boto3.client(service)


# Alive as long as the program: moto finds them among the subclasses.
MODELS = [
    made("AWS::CloudWatch::Alarm", lambda _, given: numbers(given)),
    made("AWS::Lambda::Url", url),
    made("AWS::Lambda::Alias", lambda _, given: client("lambda").create_alias(**function(given)) and None),
    made(
        "AWS::Lambda::EventInvokeConfig",
        lambda _, given: client("lambda").put_function_event_invoke_config(
            **of(function(given), ["FunctionName", "MaximumRetryAttempts", "DestinationConfig"])
        )
        and None,
    ),
    made(
        "AWS::Scheduler::Schedule",
        lambda name, given: client("scheduler").create_schedule(**{"Name": name, **given}) and None,
    ),
]


def numbers(given):
    """CloudFormation turns the text of a parameter into what the property is."""
    given = dict(given)
    for name in ("Period", "EvaluationPeriods"):
        given[name] = int(given[name])
    client("cloudwatch").put_metric_alarm(**given)


def provisioned(cls, name, given, account, region, **_):
    resource = cls(region, "request", "Provision", name)
    resource.data, resource.type, resource._finished = {}, "Custom::Provision", True
    return resource


CustomModel.create_from_cloudformation_json = classmethod(provisioned)


def document(policy):
    """moto keeps what the template says as Python prints it."""
    return ast.literal_eval(policy) if isinstance(policy, str) else policy


def package():
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("bootstrap", "")
    return whole.getvalue()


def stack(template, parameters):
    with mock_aws(config={"lambda": {"use_docker": False}}):
        client("s3").create_bucket(Bucket="bucket")
        client("s3").put_object(Bucket="bucket", Key="code", Body=package())
        cloudformation = client("cloudformation")
        cloudformation.create_stack(
            StackName="one",
            TemplateBody=json.dumps(template),
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
            ],
            Capabilities=["CAPABILITY_IAM"],
        )
        found = cloudformation.describe_stacks(StackName="one")["Stacks"][0]
        resources = cloudformation.describe_stack_resources(StackName="one")["StackResources"]
        iam = client("iam")
        roles = {}
        for resource in resources:
            if resource.get("ResourceType") == "AWS::IAM::Role":
                name = resource["PhysicalResourceId"]
                role = iam.get_role(RoleName=name)["Role"]
                roles[resource["LogicalResourceId"]] = {
                    "arn": role["Arn"],
                    "trusts": role["AssumeRolePolicyDocument"],
                    "attached": iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"],
                    "policies": {
                        policy: document(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])
                        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
                    },
                }
        functions = client("lambda").list_functions()["Functions"]
        schedules = client("scheduler")
        return {
            "status": found["StackStatus"],
            "outputs": {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]},
            "resources": sorted(r["LogicalResourceId"] for r in resources if "LogicalResourceId" in r),
            "roles": roles,
            "functions": {f["FunctionName"]: {"role": f["Role"], "vpc": f.get("VpcConfig")} for f in functions},
            "on_failure": {
                f["FunctionName"]: [
                    config.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination")
                    for config in client("lambda").list_function_event_invoke_configs(
                        FunctionName=f["FunctionName"]
                    )["FunctionEventInvokeConfigs"]
                ]
                for f in functions
            },
            "alarms": client("cloudwatch").describe_alarms()["MetricAlarms"],
            "subscriptions": client("sns").list_subscriptions()["Subscriptions"],
            "schedules": [
                schedules.get_schedule(Name=schedule["Name"]) for schedule in schedules.list_schedules()["Schedules"]
            ],
        }


whole = []
for asked in json.load(sys.stdin):
    template = translate(asked["template"], {}, "s3://bucket/code")
    whole.append([stack(template, parameters) for parameters in asked["stacks"]])
json.dump(whole, sys.stdout, default=str)
