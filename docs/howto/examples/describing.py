def add_token(document):
    schemes = document["components"]["securitySchemes"]
    schemes["token"] = {"type": "apiKey", "in": "header", "name": "Token"}


def includeme(config):
    info = {"description": "Keeps what you read.", "contact": {"email": "us@example.com"}}
    config.extend_openapi({"info": info, "externalDocs": None})
    config.extend_openapi(add_token)
    config.exclude_from_openapi("batch", "bookmark-record")
