"""A dlt pipeline that pulls Stack Auth's users into Postgres: `pipeline.py json|nested`.

`json` keeps each profile in one json column, beside the fields that one asks for; `nested` lets dlt
make columns and tables of all that is in it, as it does by itself. Prints the seconds that it took.
"""

import os
import sys
import time

import dlt
from dlt.sources.rest_api import rest_api_source


def users():
    source = rest_api_source(
        {
            "client": {
                "base_url": os.environ["API_URL"],
                "headers": {
                    "x-stack-access-type": "server",
                    "x-stack-project-id": os.environ["PROJECT_ID"],
                    "x-stack-secret-server-key": os.environ["SECRET_SERVER_KEY"],
                },
                "paginator": {
                    "type": "cursor",
                    "cursor_path": "pagination.next_cursor",
                    "cursor_param": "cursor",
                },
            },
            "resources": [
                {
                    "name": "users",
                    "primary_key": "id",
                    "write_disposition": "merge",
                    "endpoint": {
                        "path": "users",
                        "params": {
                            "limit": 1000,
                            "order_by": "signed_up_at",
                            "include_anonymous": "true",
                            "include_restricted": "true",
                        },
                        "data_selector": "items",
                    },
                }
            ],
        }
    )
    return source.users


def in_one_column(user):
    return {
        "id": user["id"],
        "name": user["display_name"],
        "email": user["primary_email"],
        "created_at": user["signed_up_at_millis"],
        "raw_json": user,
    }


def main(shape):
    pipeline = dlt.pipeline(
        "users",
        destination=dlt.destinations.postgres(os.environ["DATABASE_URL"]),
        dataset_name=os.environ["DATASET"],
    )
    begun = time.monotonic()
    resource = users()
    if shape == "json":
        resource.add_map(in_one_column)
        resource.apply_hints(columns={"raw_json": {"data_type": "json"}})
    pipeline.run(resource)
    seconds = time.monotonic() - begun
    with pipeline.sql_client() as client:
        [[count]] = client.execute_sql("SELECT count(*) FROM users")
    assert count == int(os.environ["USERS"]), f"{count} users"
    print(seconds)


main(sys.argv[1])
