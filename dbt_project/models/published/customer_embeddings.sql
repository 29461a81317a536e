{{
    as_written('customer_embeddings', source('model', 'customer_embeddings'), ['as_of', 'model', 'customer_id'])
}}
