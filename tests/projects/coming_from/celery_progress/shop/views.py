from django.shortcuts import render

from shop.tasks import import_rows


def imports(request):
    result = import_rows.delay(100) if request.method == "POST" else None
    return render(request, "imports.html", {"result": result})
