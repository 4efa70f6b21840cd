def build(gr):
    return gr.Interface(str.title, "text", "text", api_name="title")
